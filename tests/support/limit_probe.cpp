// SPDX-License-Identifier: Apache-2.0
// What limit_test runs under `limit`: limit_probe exit N | abort | hang | hang-child | orphan | dump
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <unistd.h>

[[gnu::noinline]] void the_thread_that_hangs() {
    for (;;) pause();
}

[[gnu::noinline]] void the_child_that_hangs() {
    for (;;) pause();
}

int main(int, char** argv) {
    const std::string_view mode = argv[1];
    if (mode == "exit") return std::atoi(argv[2]);
    if (mode == "abort") std::abort();
    if (mode == "dump") {
        std::signal(SIGUSR1, [](int) {
            static constexpr std::string_view text = "the tree of tasks\n";
            [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text.data(), text.size());
        });
        for (;;) pause();
    }
    if (mode == "hang") {
        std::thread thread{the_thread_that_hangs};
        thread.join();
    }
    if (mode == "hang-child" || mode == "orphan") {
        // Forked by a second thread: /proc/PID/task/PID/children does not list it.
        std::thread{[] {
            if (fork() == 0) the_child_that_hangs();
        }}.join();
        if (mode == "hang-child") the_thread_that_hangs();
    }
    return 0;
}
