// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace process_tasks {

enum class way : int { none, kill, fault, stop, abort, exit, memory };
inline constexpr std::size_t ways = 7;

struct deaths_plan {
    int tasks;
    int deaths;  ///< tasks that kill their worker
    int memory;  ///< of those, by having more than `memory_limit`: each takes a quarter of a second
    int stopped; ///< ... and by SIGSTOP, which their time-out ends
    int retries;
    std::uint64_t memory_limit;
};

/// The names of this process's children, one a line. A sanitizer's own is none of ours: it starts one to name the frames
/// of what it then suppresses.
inline std::string children_of_this() {
    std::string names;
    for (const auto& thread : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::ifstream children{thread.path() / "children"};
        for (pid_t child = 0; children >> child;) {
            std::string name;
            std::getline(std::ifstream{"/proc/" + std::to_string(child) + "/comm"}, name);
            if (!name.starts_with("llvm-symbolizer")) names += name + "\n";
        }
    }
    return names;
}

[[noreturn]] inline void end_by(way how) {
    switch (how) {
    case way::kill:
        ::kill(::getpid(), SIGKILL);
        break;
    case way::fault:
        std::signal(SIGSEGV, SIG_DFL);
        *reinterpret_cast<volatile int*>(std::uintptr_t{8}) = 1; // NOLINT: what is tested
        break;
    case way::stop:
        ::raise(SIGSTOP);
        break;
    case way::abort:
        std::signal(SIGABRT, SIG_DFL);
        std::abort();
    case way::exit:
        ::_exit(3);
    case way::memory: // what the process's own limit does not see
        for (;;) {
            constexpr std::size_t part = std::size_t{8} << 20;
            void* more = ::mmap(nullptr, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            if (more != MAP_FAILED)
                std::memset(more, 1, part);
            else
                ::pause();
        }
    case way::none:
        break;
    }
    for (;;) ::pause();
}

/// Notes that it runs, and then ends its worker while its attempt is among the first `deadly` ones.
inline std::vector<char> live_or_die(const std::string& path, int number, int deadly, int how,
                                     std::vector<char> value) {
    note_number(path, number);
    for (int i = 0; i < number % 2000; ++i) plait::detail::spin_pause();
    if (static_cast<int>(plait::detail::this_worker().attempt) <= deadly) end_by(static_cast<way>(how));
    value.push_back(static_cast<char>(number));
    return value;
}

/// Ends its worker in the middle of its result.
struct half_a_result {
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::vector<char>(std::size_t{9} << 20, 'h'));
        end_by(way::kill);
    }
    template <class Archive>
    void load(Archive& archive) {
        std::vector<char> content;
        archive(content);
    }
};
inline half_a_result give_half() { return {}; }

/// What happened, printed: `make stress` shows it.
struct deaths_toll {
    std::array<int, ways> died{};
    int values = 0;
    int lost = 0;
    int late = 0;
    int again = 0;
    int in_transit = 0;
};

/// Tasks of which some end their worker, each in its way: every task ends once, as it must, with its own
/// value.
inline deaths_toll run_deaths(const deaths_plan& plan) {
    struct fate {
        int deadly = 0; // attempts
        way how = way::none;
        std::size_t size = 0;
    };
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    std::vector<fate> fates(static_cast<std::size_t>(plan.tasks));
    for (std::size_t i = 0; i < fates.size(); ++i) {
        fates[i].size =
            i % 200 == 7 ? std::size_t{300'000} : i % 50; // in a slot, or through blocks and rings
        if (i % 2000 == 1007) fates[i].size = std::size_t{5} << 20;
    }
    deaths_toll toll;
    constexpr way quick[] = {way::kill, way::fault, way::abort, way::exit};
    for (int i = 0; i < plan.deaths; ++i) {
        fate& f = fates[random() % fates.size()];
        if (f.how != way::none) continue;
        f.how = i < plan.memory                  ? way::memory
                : i < plan.memory + plan.stopped ? way::stop
                                                 : quick[static_cast<std::size_t>(i) % std::size(quick)];
        // Some survive with the retries that there are, some do not.
        f.deadly = f.how == way::memory ? 1 : static_cast<int>(1 + random() % 5);
        ++toll.died[static_cast<std::size_t>(f.how)];
    }
    note_file log;
    std::vector<bool> gave_value(fates.size());
    {
        plait::process_pool pool{{.workers = 3, .memory_limit = plan.memory_limit}};
        constexpr std::size_t at_once = 20'000; // so that the arguments of all are not kept at the same time
        for (std::size_t first = 0; first < fates.size(); first += at_once) {
            const std::size_t end = std::min(fates.size(), first + at_once);
            std::vector<plait::future<std::vector<char>>> futures;
            std::vector<plait::future<half_a_result>> halves;
            for (std::size_t i = first; i < end; ++i) {
                const fate& f = fates[i];
                plait::submit_options options{.retries = plan.retries};
                // It counts from the task's start: time enough to say that it has begun.
                if (f.how == way::stop) options.timeout = std::chrono::milliseconds{sanitized ? 500 : 100};
                futures.push_back(pool.submit(options, live_or_die, log.path(), static_cast<int>(i), f.deadly,
                                              static_cast<int>(f.how),
                                              std::vector<char>(f.size, static_cast<char>(i))));
                if (i % 5000 == 2500) halves.push_back(pool.submit(give_half));
            }
            for (std::size_t i = first; i < end; ++i) {
                const fate& f = fates[i];
                const bool survives = f.how == way::none || (f.deadly <= plan.retries && f.how != way::stop);
                try {
                    std::vector<char> expected(f.size + 1, static_cast<char>(i));
                    EXPECT_EQ(futures[i - first].get(), expected) << i;
                    EXPECT_TRUE(survives) << i;
                    gave_value[i] = true;
                    ++toll.values;
                } catch (const plait::worker_lost& lost) {
                    EXPECT_FALSE(survives) << lost.what();
                    EXPECT_EQ(lost.attempts(), plan.retries + 1) << lost.what();
                    ++toll.lost;
                } catch (const plait::timeout_error& late) {
                    EXPECT_EQ(f.how, way::stop) << late.what();
                    ++toll.late;
                }
            }
            for (auto& f : halves) {
                EXPECT_THROW(f.get(), plait::worker_lost);
                ++toll.in_transit;
            }
        }
    }
    std::vector<int> runs(fates.size());
    for (const int number : log.numbers()) ++runs[static_cast<std::size_t>(number)];
    for (std::size_t i = 0; i < fates.size(); ++i) {
        const fate& f = fates[i];
        const int expected = f.how == way::none   ? 1
                             : f.how == way::stop ? 1
                                                  : std::min(f.deadly, plan.retries) + 1;
        EXPECT_EQ(runs[i], expected) << i << " of way " << static_cast<int>(f.how);
        toll.again += runs[i] - 1;
    }
    EXPECT_EQ(toll.values + toll.lost + toll.late, plan.tasks) << "each ended once";
    EXPECT_EQ(children_of_this(), "") << "a helper that stayed";
    std::printf(
        "%d tasks, retries %d: %d values, %d lost, %d late, %d run again; died of SIGKILL %d, SIGSEGV %d, "
        "SIGSTOP %d, abort %d, exit %d, memory %d; %d in the middle of a result\n",
        plan.tasks, plan.retries, toll.values, toll.lost, toll.late, toll.again, toll.died[1], toll.died[2],
        toll.died[3], toll.died[4], toll.died[5], toll.died[6], toll.in_transit);
    return toll;
}

} // namespace process_tasks
