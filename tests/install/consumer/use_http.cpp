// SPDX-License-Identifier: Apache-2.0
#include <plait/http.hpp>

#include <exception>

int main() {
    plait::http::session session;
    try {
        (void)session.get_blocking("http://127.0.0.1:1/");
    } catch (const std::exception&) {
        return 0; // nobody listens there
    }
    return 1;
}
