// SPDX-License-Identifier: Apache-2.0
#include "strand/watchdog.hpp"

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/offload.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using plait::task;
using plait::detail::hold_detector;
using plait::detail::time_point;

// stderr, read by the test.
class captured_stderr {
  public:
    captured_stderr() : saved_{::dup(STDERR_FILENO)} {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
        read_ = ends[0];
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[1]);
    }
    captured_stderr(const captured_stderr&) = delete;
    captured_stderr& operator=(const captured_stderr&) = delete;
    ~captured_stderr() {
        restore();
        ::close(read_);
    }
    // Blocks until a report is there, whole: it is one write.
    std::string next() {
        std::array<char, 65536> text;
        const ssize_t n = ::read(read_, text.data(), text.size());
        return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
    }
    bool empty() const {
        pollfd p{read_, POLLIN, 0};
        return ::poll(&p, 1, 0) == 0;
    }
    void restore() {
        if (saved_ < 0) return;
        ::dup2(saved_, STDERR_FILENO);
        ::close(std::exchange(saved_, -1));
    }

  private:
    int saved_;
    int read_ = -1;
};

constexpr time_point at(std::chrono::milliseconds ms) { return time_point{ms}; }

TEST(HoldDetector, ALoopThatResumesNobodyForTheThresholdIsHeldAndToldOnce) {
    hold_detector d;
    int told = 0;
    for (auto t = 0ms; t <= 500ms; t += 25ms) {
        const auto h = d.observe({at(t), 7, false, t / 2}, 25ms, 25ms, 100ms);
        if (!h.held) continue;
        ++told;
        EXPECT_EQ(h.lasted, 100ms);
        EXPECT_EQ(h.ran, 50ms);
    }
    EXPECT_EQ(told, 1);
}

TEST(HoldDetector, ManyShortTasksInARowAreNoHold) {
    hold_detector d;
    std::uint64_t resumes = 0;
    for (auto t = 0ms; t <= 500ms; t += 25ms) {
        resumes += t % 75ms == 0ms; // 75 ms each
        EXPECT_FALSE(d.observe({at(t), resumes, false, t}, 25ms, 25ms, 100ms).held);
    }
}

TEST(HoldDetector, ASleepingLoopIsNotHeld) {
    hold_detector d;
    for (auto t = 0ms; t <= 500ms; t += 25ms)
        EXPECT_FALSE(d.observe({at(t), 7, true, 0ms}, 25ms, 25ms, 100ms).held);
}

TEST(HoldDetector, TimeInWhichTheObserverDidNotLookIsNoEvidence) {
    hold_detector d;
    d.observe({at(0ms), 7, false, 0ms}, 25ms, 25ms, 100ms);
    EXPECT_FALSE(d.observe({at(500ms), 7, false, 0ms}, 500ms, 25ms, 100ms).held); // stopped, and going on
    EXPECT_FALSE(d.observe({at(590ms), 7, false, 0ms}, 25ms, 25ms, 100ms).held);
    EXPECT_TRUE(d.observe({at(600ms), 7, false, 0ms}, 25ms, 25ms, 100ms).held);
}

TEST(HoldDetector, ASecondHoldIsToldAgain) {
    hold_detector d;
    d.observe({at(0ms), 7, false, 0ms}, 25ms, 25ms, 50ms);
    EXPECT_TRUE(d.observe({at(50ms), 7, false, 0ms}, 25ms, 25ms, 50ms).held);
    d.observe({at(75ms), 8, false, 0ms}, 25ms, 25ms, 50ms);
    EXPECT_TRUE(d.observe({at(125ms), 8, false, 0ms}, 25ms, 25ms, 50ms).held);
}

TEST(Watchdog, ATaskThatBlocksTheLoopIsReportedWithNamePlacesAndStack) {
    captured_stderr errors;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    plait::event_loop loop{{.name = "watched", .slow_task_threshold = 20ms}};
    auto f = loop.submit({.name = "blocker"}, [&]() -> task<void> {
        co_await plait::yield();
        char c = 0;
        EXPECT_EQ(::read(ends[0], &c, 1), 1); // until the report is there
    });
    const std::string report = errors.next();
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    f.get();
    errors.restore();
    EXPECT_NE(report.find("event_loop 'watched': task 'blocker' has held the loop for"), std::string::npos)
        << report;
    EXPECT_NE(report.find("it blocks"), std::string::npos) << report;
    EXPECT_NE(report.find("after its await at"), std::string::npos) << report;
    EXPECT_NE(report.find("created at"), std::string::npos) << report;
    EXPECT_NE(report.find("watchdog_test.cpp:"), std::string::npos) << report;
    EXPECT_NE(report.find("    at "), std::string::npos) << report;
    EXPECT_EQ(report.find("no stack"), std::string::npos) << report;
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(Watchdog, ATaskThatComputesIsReportedAsSuch) {
    captured_stderr errors;
    std::atomic<bool> seen{false};
    plait::loop_pool loops{{.workers = 1, .slow_task_threshold = 50ms}};
    auto f = loops.submit({.name = "cruncher"}, [&] {
        std::array<char, 8> out{};
        while (!seen)
            ::snprintf(out.data(), out.size(), "%d", 4711); // something that sanitizers can interrupt
    });
    const std::string report = errors.next();
    seen = true;
    f.get();
    errors.restore();
    EXPECT_NE(report.find("loop_pool 'plait-loop': "), std::string::npos) << report;
    EXPECT_NE(report.find("has held the loop for"), std::string::npos) << report;
}

TEST(Watchdog, EachPlaceIsReportedOnce) {
    captured_stderr errors;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    plait::event_loop loop{{.slow_task_threshold = 20ms}};
    const auto block = [&](const char* name) {
        return loop.submit({.name = name}, [&] {
            char c = 0;
            EXPECT_EQ(::read(ends[0], &c, 1), 1);
        });
    };
    auto first = block("once");
    EXPECT_NE(errors.next().find("'once'"), std::string::npos);
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    first.get();
    // The same again. It ends when the watchdog has had time for another report, and the next place has been
    // told.
    auto again = block("once");
    const std::uint64_t looks = plait::detail::watchdog_looks();
    while (plait::detail::watchdog_looks() < looks + 20) std::this_thread::yield();
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    again.get();
    auto other = block("another");
    const std::string report = errors.next();
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    other.get();
    errors.restore();
    EXPECT_EQ(report.find("'once'"), std::string::npos) << report;
    EXPECT_NE(report.find("'another'"), std::string::npos) << report;
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(Watchdog, WhoLetsOthersRunIsNotReported) {
    captured_stderr errors;
    {
        plait::event_loop loop{{.slow_task_threshold = 200ms}};
        loop.submit([]() -> task<void> {
                const std::uint64_t looks = plait::detail::watchdog_looks();
                while (plait::detail::watchdog_looks() < looks + 12) co_await plait::yield(); // 300 ms
            })
            .get();
    }
    EXPECT_TRUE(errors.empty()) << errors.next();
}

TEST(Watchdog, WhileAllLoopsSleepItDoesNotLook) {
    plait::event_loop loop{{.slow_task_threshold = 20ms}};
    loop.submit([]() -> task<void> { co_await plait::yield(); }).get();
    while (plait::detail::watchdog_parked.load() == 0) std::this_thread::yield();
    // A task that sleeps for a while, without anybody looking meanwhile but for the moments when it begins
    // and ends.
    const std::uint64_t before = plait::detail::watchdog_looks();
    loop.submit([]() -> task<void> { co_await plait::sleep_for(400ms); }).get();
    EXPECT_LE(plait::detail::watchdog_looks() - before, 20U); // 80 if it looked all the time
}

TEST(Watchdog, WithoutAThresholdNobodyLooks) {
    captured_stderr errors;
    const std::uint64_t before = plait::detail::watchdog_looks();
    {
        plait::event_loop loop{{.slow_task_threshold = 0ms}};
        loop.submit([] {
                // What is tested is that this is nobody's business.
                const auto until = std::chrono::steady_clock::now() + 50ms;
                while (std::chrono::steady_clock::now() < until) plait::detail::spin_pause();
            })
            .get();
    }
    EXPECT_EQ(plait::detail::watchdog_looks(), before);
    EXPECT_TRUE(errors.empty());
}

TEST(Watchdog, LoopsComeAndGoBesideIt) {
    for (int i = 0; i < 200; ++i) {
        plait::event_loop loop{{.slow_task_threshold = 4ms}};
        loop.submit([]() -> task<void> { co_await plait::yield(); }).get();
        EXPECT_EQ(plait::run([]() -> task<int> { co_return 4; }()), 4);
    }
}

} // namespace
