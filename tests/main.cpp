// SPDX-License-Identifier: Apache-2.0
// The main of every GoogleTest program. Workers of process pools run this binary too: `program` comes first.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <type_traits>

#ifdef PLAIT_HAS_PROGRAM
#include <plait/program.hpp>
#endif
#ifdef PLAIT_HAS_TRACE
#include <plait/trace.hpp>
#endif

namespace {

#ifdef PLAIT_HAS_TRACE
// `limit` sends SIGUSR1 to a test that is late, before it shows the threads' stacks: coroutines are in no
// stack. Not safe in a signal handler by the book, but the program is about to be killed, and `limit` waits
// one second at most.
template <class Dump>
void show(Dump dump) {
    if constexpr (std::is_void_v<decltype(dump())>) {
        dump();
    } else {
        const std::string text{dump()};
        std::fputs(text.c_str(), stderr);
    }
}

void show_tasks_when_asked() {
    struct sigaction action{};
    action.sa_handler = [](int) { show([] { return plait::dump_tasks(); }); };
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
}
#else
void show_tasks_when_asked() {}
#endif

} // namespace

int main(int argc, char** argv) {
#ifdef PLAIT_HAS_PROGRAM
    plait::program program{argc, argv};
#endif
    ::testing::InitGoogleTest(&argc, argv);
    show_tasks_when_asked();
    return RUN_ALL_TESTS();
}
