// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <plait/program.hpp>
#include <string>
#include <sys/wait.h>

/// The documents' programs in one: `docs_examples N` is the N-th, `docs_examples` runs them all and looks at
/// what they print.
namespace driver {

struct program {
    const char* where;
    int (*main)(int, char**);
    const char* output; // null: whatever it likes
};

extern const program programs[]; // an empty one is the last

inline bool run(const std::string& self, std::size_t number) {
    const program& p = programs[number];
    std::FILE* const pipe =
        ::popen(("timeout 30 " + self + ' ' + std::to_string(number) + " </dev/null").c_str(), "r");
    if (!pipe) return false;
    std::string output;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
    const int status = ::pclose(pipe);
    const bool right = status == 0 && (!p.output || output == p.output);
    std::printf("%s: %s\n", p.where, right ? "well" : "FAILED");
    if (status != 0) std::printf("  wait status %d\n", status);
    if (!right)
        std::printf("  it printed:\n%s\n  and should print:\n%s\n", output.c_str(),
                    p.output ? p.output : "anything");
    return right;
}

} // namespace driver

int main(int argc, char** argv) {
    if (std::getenv("PLAIT_HELPER")) const plait::program host{argc, argv};
    if (argc > 1) return driver::programs[std::strtoul(argv[1], nullptr, 10)].main(argc - 1, argv + 1);
    int failed = 0;
    for (std::size_t i = 0; driver::programs[i].main; ++i) failed += !driver::run(argv[0], i);
    return failed != 0;
}
