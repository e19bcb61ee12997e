// SPDX-License-Identifier: Apache-2.0
#include "strand/watchdog.hpp"

#include "strand/housekeeping.hpp"
#include "strand/loop_engine.hpp"
#include "strand/stack_probe.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

namespace plait::detail {

constinit atomic<std::uint32_t> watchdog_parked{0};

namespace {

constexpr nanoseconds longest_period = std::chrono::milliseconds{25};
constexpr nanoseconds shortest_period = std::chrono::milliseconds{1};
constexpr nanoseconds patience = std::chrono::milliseconds{100}; // for the stack
constexpr std::size_t most_sites = 1000;

nanoseconds cpu_of(::pthread_t thread) noexcept {
    clockid_t clock{};
    timespec used{};
    if (::pthread_getcpuclockid(thread, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
        return nanoseconds{0};
    return std::chrono::seconds{used.tv_sec} + nanoseconds{used.tv_nsec};
}

std::string place(const std::source_location& where) {
    return std::string{where.file_name()} + ":" + std::to_string(where.line());
}

std::string seconds(nanoseconds d) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f s", std::chrono::duration<double>(d).count());
    return text;
}

} // namespace

class watchdog {
  public:
    void add(watched_loop& l) noexcept {
        {
            const std::lock_guard guard{mutex_};
            l.next_ = loops_;
            loops_ = &l;
            if (!thread_.joinable()) start();
        }
        unpark_watchdog();
    }

    void remove(watched_loop& l) noexcept {
        const std::lock_guard guard{mutex_};
        watched_loop** at = &loops_;
        while (*at != &l) at = &(*at)->next_;
        *at = l.next_;
    }

    void unpark() noexcept {
        {
            const std::lock_guard guard{mutex_};
            watchdog_parked.store(0, order::seq_cst);
        }
        changed_.notify_all();
    }

    void end() noexcept {
        std::thread ending;
        {
            const std::lock_guard guard{mutex_};
            if (any_engine() || !thread_.joinable()) return;
            ++generation_;
            ending.swap(thread_);
        }
        changed_.notify_all();
        ending.join();
    }

    std::uint64_t looks() const noexcept { return looks_.load(order::relaxed); }

  private:
    using clock = std::chrono::steady_clock;
    // Name, where created, where it last awaited, and which kind of work, for what has none of these.
    using site = std::tuple<const char*, const char*, unsigned, const char*, unsigned, std::uintptr_t>;

    void start() noexcept {
        try {
            prepare_stack_probe();
            thread_ = std::thread{[this, mine = generation_] { run(mine); }};
        } catch (...) {
            // No thread, no watchdog: the loops do not need it.
        }
    }

    void run(unsigned mine) noexcept {
        ::pthread_setname_np(::pthread_self(), "plait-watchdog");
        std::unique_lock lock{mutex_};
        time_point looked = clock::now();
        while (generation_ == mine) {
            const nanoseconds period = look(looked);
            if (period == nanoseconds::max()) {
                watchdog_parked.store(1, order::seq_cst);
                // The last look, now that whoever wakes up tells us.
                if (all_asleep())
                    changed_.wait(lock, [&] {
                        return generation_ != mine || watchdog_parked.load(order::relaxed) == 0;
                    });
                watchdog_parked.store(0, order::seq_cst);
                looked = clock::now();
                period_ = longest_period;
            } else {
                // By the plan of the steady clock: a nap that takes longer shows in `looked`.
                period_ = period;
                changed_.wait_until(lock, clock::now() + period, [&] { return generation_ != mine; });
            }
        }
    }

    // When to look again; max() if nobody does anything.
    nanoseconds look(time_point& looked) noexcept {
        looks_.fetch_add(1, order::relaxed);
        const time_point now = clock::now();
        const nanoseconds nap = now - std::exchange(looked, now);
        bool busy = false;
        nanoseconds period = longest_period;
        for (watched_loop* l = loops_; l; l = l->next_) {
            const hold_detector::look seen{now, l->loop_.resumes(), l->loop_.asleep(), cpu_of(l->thread_)};
            busy |= !seen.asleep || seen.resumes != std::exchange(l->resumes_, seen.resumes);
            period = std::min(period, std::max(l->threshold_ / 4, shortest_period));
            const auto hold = l->detector_.observe(seen, nap, period_, l->threshold_);
            if (hold.held) report(*l, hold);
        }
        return busy ? period : nanoseconds::max();
    }

    bool all_asleep() const noexcept {
        for (const watched_loop* l = loops_; l; l = l->next_)
            if (!l->loop_.asleep()) return false;
        return true;
    }

    // Under the lock, so that the thread cannot end meanwhile.
    void report(watched_loop& l, const hold_detector::hold& hold) noexcept {
        try {
            const thread_stack s = probe_stack(l.thread_, patience);
            if (!s.text.empty() && !s.in_task) return; // between tasks: the machine has no time for us
            if (!remember({s.task.name_at, s.task.created.file_name(), s.task.created.line(),
                           s.task.at.file_name(), s.task.at.line(), l.loop_.running()}))
                return;
            const auto share =
                static_cast<int>(100 * hold.ran.count() / std::max<std::int64_t>(hold.lasted.count(), 1));
            std::string text = std::string{"plait: "} + l.loop_.kind() + " '" + l.name_ + "': ";
            text += s.task.name.empty() ? std::string{"a task"} : "task '" + s.task.name + "'";
            text += " has held the loop for " + seconds(hold.lasted) + " and ran " + std::to_string(share) +
                    " % of that";
            if (s.task.at.line() != 0) text += ", after its await at " + place(s.task.at);
            if (s.task.created.line() != 0) text += ", created at " + place(s.task.created);
            text +=
                share < 50
                    ? ": it blocks, or others have the processor; put blocking calls into plait::offload\n"
                    : ": it computes; let it run on a thread_pool, or co_await plait::yield() now and then\n";
            text += s.text.empty() ? "    (no stack: the thread did not answer)\n" : s.text;
            // One write: lines of several threads do not mix. Nothing can be done if stderr is closed.
            [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text.data(), text.size());
        } catch (...) {
            // No memory for the message.
        }
    }

    bool remember(const site& s) {
        if (std::find(sites_.begin(), sites_.end(), s) != sites_.end() || sites_.size() == most_sites)
            return false;
        sites_.push_back(s);
        return true;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    watched_loop* loops_ = nullptr; // guarded by mutex_, as all that follows
    std::thread thread_;
    unsigned generation_ = 0;
    nanoseconds period_ = longest_period; // of the nap before this look
    std::vector<site> sites_;
    atomic<std::uint64_t> looks_{0};
};

namespace {

// Never destroyed: a loop in static storage may be the last one.
watchdog& the_watchdog() noexcept {
    alignas(watchdog) static unsigned char storage[sizeof(watchdog)];
    static watchdog* const instance = ::new (storage) watchdog;
    return *instance;
}

} // namespace

void unpark_watchdog() noexcept { the_watchdog().unpark(); }
void end_watchdog() noexcept { the_watchdog().end(); }
std::uint64_t watchdog_looks() noexcept { return the_watchdog().looks(); }

watched_loop::watched_loop(loop_engine& loop, const char* name, nanoseconds threshold) noexcept
    : loop_{loop}, name_{name}, threshold_{threshold}, thread_{::pthread_self()} {
    if (threshold_ > nanoseconds::zero()) the_watchdog().add(*this);
}

watched_loop::~watched_loop() {
    if (threshold_ > nanoseconds::zero()) the_watchdog().remove(*this);
}

} // namespace plait::detail
