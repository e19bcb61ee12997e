// SPDX-License-Identifier: Apache-2.0
#include <plait/process_pool.hpp>
#include <plait/program.hpp>

int twice(int x) { return 2 * x; }

int main(int argc, char** argv) {
    plait::program program{argc, argv};
    plait::process_pool pool{{.workers = 1}};
    return pool.submit(twice, 21).get() == 42 ? 0 : 1;
}
