// SPDX-License-Identifier: Apache-2.0
#include <plait/testing_faults.hpp>

#include "sys/direct_call.hpp"
#include "testing_run/by_name.hpp"
#include "testing_run/fault_state.hpp"
#include "testing_run/simulation.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace plait::testing {

namespace {

constexpr std::array<std::string_view, fault_points> names{
    "allocation",    "thread_start", "process_start", "process_watch", "process_wait", "epoll_create",
    "epoll_control", "event_create", "memory_file",   "memory_map",    "memory_size",  "copy",
    "socket_create", "socket_setup", "look",          "connect",       "accept",       "receive",
    "send",          "file_open",    "file_read",     "file_write",    "interruption"};

std::size_t entries_of(const char* folder) {
    std::error_code none;
    std::size_t n = 0;
    for (auto it = std::filesystem::directory_iterator{folder, none};
         !none && it != std::filesystem::directory_iterator{}; it.increment(none))
        ++n;
    return n;
}

struct holdings {
    std::size_t descriptors = 0;
    std::size_t threads = 0;
    std::int64_t blocks = 0;

    static holdings now() {
        holdings h;
        h.blocks = faults::live_blocks.load(std::memory_order_relaxed);
        h.descriptors = entries_of("/proc/self/fd");
        h.threads = entries_of("/proc/self/task");
        return h;
    }
};

class sweeper {
  public:
    sweeper(const std::function<void()>& scenario, const sweep_options& options)
        : scenario_{scenario}, options_{options} {}

    sweep_result run() {
        // Untouched, twice: what is kept for next time is there then.
        for (int i = 0; i < 2; ++i) scenario_();
        if (options_.points.empty())
            for (std::size_t i = 0; i < fault_points; ++i) at(static_cast<fault_point>(i));
        else
            for (const fault_point p : options_.points) at(p);
        return std::move(result_);
    }

  private:
    void at(fault_point p) {
        // How many calls there are, roughly: from run to run it may differ.
        std::uint64_t calls = 0;
        apart([&] {
            const fault_injection counting{p, ~std::uint64_t{0}, false};
            scenario_();
            calls = counting.calls();
        });
        const std::uint64_t stride = std::max<std::uint64_t>(1, calls / options_.most_at_a_point);
        for (const bool from_then_on : {false, true}) {
            // Who is interrupted is right to try again, for ever.
            if (from_then_on && (!options_.lasting || p == fault_point::interruption)) break;
            for (std::uint64_t n = 1; once(p, n, from_then_on) && result_.faults.size() < 20; n += stride) {}
        }
    }

    // False: it was not reached.
    bool once(fault_point p, std::uint64_t n, bool from_then_on) {
        if (std::getenv("PLAIT_FAULTS"))
            std::fprintf(stderr, "fault: %.*s %llu%s\n", static_cast<int>(name_of(p).size()),
                         name_of(p).data(), static_cast<unsigned long long>(n),
                         from_then_on ? " and all that follow" : "");
        const holdings before = holdings::now();
        if (!inject(p, n, from_then_on)) return false;
        ++result_.injections;
        ++result_.at[static_cast<std::size_t>(p)];
        const std::string which = std::string{name_of(p)} + " " + std::to_string(n) +
                                  (from_then_on ? " and all that follow: " : ": ");
        check_left(which, before, p, n, from_then_on);
        try {
            scenario_();
        } catch (const std::exception& e) {
            fault(which + "afterwards, left alone, it fails: " + e.what());
        }
        return true;
    }

    // On a thread of its own, which has kept nothing from runs before: no memory for coroutine frames, say.
    template <class F>
    static void apart(F fn) {
        std::exception_ptr failure;
        std::thread{[&] {
            try {
                fn();
            } catch (...) {
                failure = std::current_exception();
            }
        }}.join();
        if (failure) std::rethrow_exception(failure);
    }

    bool inject(fault_point p, std::uint64_t n, bool from_then_on) {
        bool reached = false;
        std::string wrong;
        apart([&] {
            const fault_injection here{p, n, from_then_on};
            try {
                scenario_();
            } catch (const std::logic_error& e) {
                wrong = e.what();
                if (wrong.empty()) wrong = "logic_error";
            } catch (...) {
                if (here.failed() != 0) ++result_.refused;
            }
            reached = here.failed() != 0;
        });
        if (!wrong.empty())
            fault(std::string{name_of(p)} + " " + std::to_string(n) +
                  (from_then_on ? " and all that follow: " : ": ") + wrong);
        return reached;
    }

    void check_left(const std::string& which, const holdings& before, fault_point p, std::uint64_t n,
                    bool from_then_on) {
        holdings after = holdings::now();
        // A thread that has been joined is in /proc for a moment longer.
        for (int i = 0; i < 200 && (after.threads > before.threads || after.descriptors > before.descriptors);
             ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
            after = holdings::now();
        }
        if (after.descriptors > before.descriptors)
            fault(which + std::to_string(after.descriptors - before.descriptors) +
                  " descriptors are left open");
        if (after.threads > before.threads)
            fault(which + std::to_string(after.threads - before.threads) + " threads are left");
        if (after.blocks <= before.blocks) return;
        // Kept for next time, or lost? What is lost is lost each time.
        constexpr int times = 6;
        int grew = 0;
        for (int i = 0; i < times; ++i) {
            const std::int64_t blocks = holdings::now().blocks;
            const std::uint64_t refused = result_.refused;
            inject(p, n, from_then_on);
            result_.refused = refused;
            grew += holdings::now().blocks > blocks ? 1 : 0;
        }
        if (grew == times) fault(which + "memory is lost each time");
    }

    void fault(std::string what) { result_.faults.push_back(std::move(what)); }

    const std::function<void()>& scenario_;
    const sweep_options& options_;
    sweep_result result_;
};

} // namespace

std::string_view name_of(fault_point p) noexcept { return names[static_cast<std::size_t>(p)]; }

fault_injection::fault_injection(fault_point point, std::uint64_t first, bool from_then_on) {
    if (names_are_taken)
        throw std::logic_error{"testing::fault_injection: not under a sanitizer, which has the names of the "
                               "system's calls itself"};
    faults::take_their_places();
    real::take_their_places();
    int none = -1;
    faults::now.first.store(first);
    faults::now.from_then_on.store(from_then_on);
    faults::now.calls.store(0);
    faults::now.failed.store(0);
    if (!faults::now.point.compare_exchange_strong(none, static_cast<int>(point)))
        throw std::logic_error{"testing::fault_injection: there is one already"};
    detail::calls_by_name.fetch_add(1);
}

fault_injection::~fault_injection() {
    faults::now.point.store(-1);
    detail::calls_by_name.fetch_sub(1);
}

std::uint64_t fault_injection::calls() const noexcept { return faults::now.calls.load(); }
std::uint64_t fault_injection::failed() const noexcept { return faults::now.failed.load(); }

std::string sweep_result::summary(std::string_view name) const {
    std::string text{name};
    text += ": " + std::to_string(injections) + " injections";
    const char* before = " (";
    for (std::size_t i = 0; i < fault_points; ++i)
        if (at[i] != 0) {
            text += before + std::string{names[i]} + " " + std::to_string(at[i]);
            before = ", ";
        }
    if (*before == ',') text += ")";
    return text + ", " + std::to_string(refused) + " refused, " + std::to_string(faults.size()) + " wrong";
}

sweep_result sweep(const std::function<void()>& scenario, const sweep_options& options) {
    if (!scenario) throw std::invalid_argument{"testing::sweep: no scenario"};
    return sweeper{scenario, options}.run();
}

} // namespace plait::testing
