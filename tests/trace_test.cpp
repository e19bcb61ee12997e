// SPDX-License-Identifier: Apache-2.0
#include "support/dumped.hpp"

#include <plait/trace.hpp>

#include <plait/event_loop.hpp>
#include <plait/io.hpp>
#include <plait/loop_pool.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <regex>
#include <semaphore>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using plait::task;

TEST(DumpTasks, WithoutTasksSaysSo) { EXPECT_EQ(dumped(), "plait: 0 live tasks\n"); }

TEST(DumpTasks, ShowsNameStateWhatIsAwaitedAndWhere) {
    plait::event_loop loop;
    const std::string text = loop.run([](plait::event_loop& here) -> task<std::string> {
        auto child = here.submit({.name = "reader"}, []() -> task<void> {
            auto [a, b] = plait::io::connected_pair();
            std::array<std::byte, 1> into{};
            co_await b.read(into);
        });
        co_await plait::yield();
        std::string shown = dumped();
        child.cancel();
        try {
            co_await child;
        } catch (const plait::cancelled&) {}
        co_return shown;
    }(loop));
    // The child stands below its parent.
    const std::regex expected{
        "plait: 2 live tasks\n"
        "#[0-9]+ 'main' running, [0-9]+\\.[0-9] s old, at [^ ]*trace_test\\.cpp:[0-9]+.*\n"
        "  #[0-9]+ 'reader' waiting for socket read, [0-9]+\\.[0-9] s old, at "
        "[^ ]*trace_test\\.cpp:[0-9]+, created at [^ ]*trace_test\\.cpp:[0-9]+\n"};
    EXPECT_TRUE(std::regex_match(text, expected)) << text;
}

TEST(DumpTasks, ShowsWhatIsQueued) {
    plait::event_loop loop;
    std::binary_semaphore begun{0};
    std::binary_semaphore let_go{0};
    auto busy = loop.submit({.name = "busy"}, [&] {
        begun.release();
        let_go.acquire();
    });
    begun.acquire();
    auto behind = loop.submit({.name = "behind"}, [] {});
    const std::string text = dumped();
    EXPECT_NE(text.find("'busy' running"), std::string::npos) << text;
    EXPECT_NE(text.find("'behind' queued"), std::string::npos) << text;
    let_go.release();
    busy.get();
    behind.get();
}

TEST(DumpTasks, ShowsWhichThreadOfWhichExecutorRunsIt) {
    const auto on = [](auto& ex, const char* name, const char* thread) {
        std::string text;
        const std::regex expected{std::string{"plait: 1 live task\n#[0-9]+ "} + name + "running on " +
                                  thread + ", .*\n"};
        ex.submit({.name = *name ? "seen" : nullptr}, [&] { text = dumped(); }).get();
        EXPECT_TRUE(std::regex_match(text, expected)) << text;
    };
    plait::thread_pool pool{{.workers = 1, .name = "crunch"}};
    on(pool, "'seen' ", "crunch/0");
    on(pool, "", "crunch/0"); // in the thread's own entry
    plait::loop_pool loops{{.workers = 1, .name = "loops"}};
    on(loops, "'seen' ", "loops/0");
    plait::event_loop loop{{.name = "longer-than-the-kernel-keeps"}};
    on(loop, "'seen' ", "longer-than-the");
    std::string steps; // of a coroutine, after a wait
    pool.submit([&]() -> task<> {
            co_await plait::yield();
            steps = dumped();
        })
        .get();
    EXPECT_NE(steps.find(" running on crunch/0, "), std::string::npos) << steps;
}

TEST(DumpTasks, ShowsSoManyAndCountsTheRest) {
    plait::event_loop loop;
    const std::string text = loop.run([](plait::event_loop& here) -> task<std::string> {
        std::vector<plait::future<void>> sleepers;
        for (int i = 0; i < 100; ++i)
            sleepers.push_back(here.submit([]() -> task<void> { co_await plait::sleep_for(1h); }));
        co_await plait::yield();
        std::string shown = dumped(10);
        for (auto& s : sleepers) s.cancel();
        co_return shown;
    }(loop));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 12) << text; // head, ten, rest
    EXPECT_NE(text.find("plait: 101 live tasks\n"), std::string::npos) << text;
    EXPECT_NE(text.find("... and 91 more\n"), std::string::npos) << text;
}

TEST(DumpTasks, ADeepChainOfChildrenIsShownWhole) {
    plait::event_loop loop;
    struct nest {
        static task<std::string> down(plait::event_loop& here, int levels) {
            if (levels == 0) co_return dumped();
            auto child = here.submit([&here, levels] { return down(here, levels - 1); });
            co_return co_await child;
        }
    };
    const std::string text = loop.run(nest::down(loop, 200));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 202) << text;
}

TEST(DumpTasks, ANameThatIsGoneDoesNoHarm) {
    plait::event_loop loop;
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    auto* const name = static_cast<char*>(page) + 4090; // at the page's very end, without its zero
    std::fill(name, name + 6, 'x');
    const std::string text =
        loop.run([](plait::event_loop& here, void* at, const char* called) -> task<std::string> {
            auto child = here.submit({.name = called}, []() -> task<void> { co_await plait::sleep_for(1h); });
            co_await plait::yield();
            std::string shown = dumped();
            ::munmap(at, 4096);
            shown += dumped();
            child.cancel();
            try {
                co_await child;
            } catch (const plait::cancelled&) {}
            co_return shown;
        }(loop, page, name));
    EXPECT_NE(text.find("'xxxxxx'"), std::string::npos) << text;
    EXPECT_NE(text.find("'?'"), std::string::npos) << text;
}

TEST(DumpTasks, WhileTasksComeAndGoOnOtherThreads) {
    plait::thread_pool pool{{.workers = 2}};
    std::atomic<bool> stop{false};
    std::thread feeder{[&] {
        while (!stop) pool.submit({.name = "brief"}, []() -> task<void> { co_await plait::yield(); }).get();
    }};
    std::size_t seen = 0;
    while (seen < 20) seen += dumped().find("'brief'") != std::string::npos;
    stop = true;
    feeder.join();
}

TEST(DumpTasks, FromASignalHandlerItKeepsErrno) {
    static int target = -1;
    const std::string text = written_by([](int fd) {
        target = fd;
        struct sigaction action{};
        struct sigaction before{};
        action.sa_handler = [](int) { plait::dump_tasks(target); };
        ::sigaction(SIGUSR2, &action, &before);
        plait::run([]() -> task<void> {
            errno = 4711;
            ::raise(SIGUSR2);
            EXPECT_EQ(errno, 4711);
            co_return;
        }());
        ::sigaction(SIGUSR2, &before, nullptr);
    });
    EXPECT_NE(text.find("'main' running"), std::string::npos) << text;
}

} // namespace
