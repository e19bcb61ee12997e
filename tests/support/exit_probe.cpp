// SPDX-License-Identifier: Apache-2.0
// exit_probe MODE EXECUTOR: ends with work in an executor (conformance S12).
//   local, static   20 tasks are queued when main returns 7; each writes an x
//   late            a task submits until the executor, which is draining at exit, refuses
//   exit            a task calls exit(9)
#include "conformance/executors.hpp"

#include <plait/errors.hpp>

#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <unistd.h>

namespace {

int write_x() {
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    return ::write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1;
}

template <class E>
auto& static_executor() {
    static auto ex = conformance::make<E>();
    return ex;
}

template <class E>
void submit_until_refused(E& ex) {
    for (;;) {
        try {
            (void)ex.submit([] {});
        } catch (const plait::shutdown_error&) {
            if (::write(STDOUT_FILENO, "refused", 7) != 7) std::abort();
            return;
        }
        std::this_thread::yield();
    }
}

template <class E>
int end(const char* mode) {
    if (std::strcmp(mode, "local") == 0) {
        auto ex = conformance::make<E>();
        for (int i = 0; i < 20; ++i) (void)ex.submit(write_x);
        return 7;
    }
    auto& ex = static_executor<E>();
    if (std::strcmp(mode, "static") == 0) {
        for (int i = 0; i < 20; ++i) (void)ex.submit(write_x);
        return 7;
    }
    if constexpr (conformance::in_process<E>) {
        if (std::strcmp(mode, "late") == 0) {
            (void)ex.submit([&ex] { submit_until_refused(ex); });
            return 7;
        }
        if (std::strcmp(mode, "exit") == 0) ex.submit([] { std::exit(9); }).wait();
    }
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    plait::program program{argc, argv};
    if (argc != 3) return 2;
    const std::string kind = argv[2];
    if (kind == "serial") return end<plait::serial>(argv[1]);
    if (kind == "thread_pool") return end<plait::thread_pool>(argv[1]);
    if (kind == "event_loop") return end<plait::event_loop>(argv[1]);
    if (kind == "loop_pool") return end<plait::loop_pool>(argv[1]);
    if (kind == "any_executor") return end<plait::any_executor>(argv[1]);
    if (kind == "any_threads") return end<conformance::any_threads>(argv[1]);
    if (kind == "process_pool") return end<plait::process_pool>(argv[1]);
    return 2;
}
