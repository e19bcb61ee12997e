// SPDX-License-Identifier: Apache-2.0
#include <plait/plait.hpp>

int main() {
    plait::thread_pool pool{{.workers = 2}};
    auto answer = pool.submit([](int x) { return x + 1; }, 41);
    return answer.get() == 42 ? 0 : 1;
}
