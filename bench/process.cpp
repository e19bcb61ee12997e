// SPDX-License-Identifier: Apache-2.0
// rows: process round trip, process round trip and Python's, process tiny tasks, process tiny tasks and Python's, process tasks with futures
// rows: 100 MB in and out, 100 MB in and out and Python's, shared_array to two workers, process pool ready, process pool ready and Python's, process pool ready beside 100 MB and Python's, process pool ready of a kept helper and Python's, process pool ready of a kept helper beside 100 MB and Python's, worker replaced, idle worker's memory
//
// What does the border between processes cost? Beside a futex round trip, copies of the same vector, and Python's pools, in
// the same run. Where what was asked for is a figure and no peer, the figure stands as "the goal".
#include "sys/futex.hpp"

#include <plait/process_pool.hpp>
#include <plait/shared_array.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <new>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using detail_order = plait::detail::order;
using clock_type = std::chrono::steady_clock;

double since(clock_type::time_point begun) {
    return std::chrono::duration<double, std::nano>(clock_type::now() - begun).count();
}

template <class Run>
double best_of(int rounds, Run run) {
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < rounds; ++i) {
        const auto begun = clock_type::now();
        run();
        best = std::min(best, since(begun));
    }
    return best;
}

template <class Run>
double median_of(int rounds, Run run) {
    std::vector<double> all;
    for (int i = 0; i < rounds; ++i) {
        const auto begun = clock_type::now();
        run();
        all.push_back(since(begun));
    }
    std::ranges::nth_element(all, all.begin() + rounds / 2);
    return all[static_cast<std::size_t>(rounds) / 2];
}

void row(const char* name, const char* unit, double plait,
         const std::vector<std::pair<const char*, double>>& peers, double reach) {
    std::printf("{\"row\": \"%s\", \"unit\": \"%s\", \"plait\": %.4g, \"peers\": {", name, unit, plait);
    const char* comma = "";
    for (const auto& [peer, value] : peers) {
        value > 0 ? std::printf("%s\"%s\": %.4g", comma, peer, value)
                  : std::printf("%s\"%s\": null", comma, peer);
        comma = ", ";
    }
    std::printf("}, \"better\": \"lower\", \"reach\": %.3g}\n", reach);
    std::fflush(stdout);
}

int same(int x) { return x; }
void nothing() {}
std::vector<double> back(std::vector<double> v) { return v; }
double touch(const plait::shared_array<const double>& a) { return a[a.size() - 1]; }

// There and back between two processes that sleep on a word each.
double futex_trip() {
    struct words {
        plait::detail::atomic<std::uint32_t> there{0};
        plait::detail::atomic<std::uint32_t> back{0};
    };
    void* const memory =
        ::mmap(nullptr, sizeof(words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const w = ::new (memory) words;
    constexpr std::uint32_t trips = 5000;
    const auto wait_for = [](plait::detail::atomic<std::uint32_t>& word, std::uint32_t value) {
        for (std::uint32_t now; (now = word.load(detail_order::acquire)) != value;)
            plait::detail::futex_wait(word.address(), now, plait::detail::no_deadline,
                                      plait::detail::futex_scope::shared);
    };
    const auto set = [](plait::detail::atomic<std::uint32_t>& word, std::uint32_t value) {
        word.store(value, detail_order::release);
        plait::detail::futex_wake(word.address(), 1, plait::detail::futex_scope::shared);
    };
    const pid_t child = ::fork();
    if (child == 0) {
        for (std::uint32_t i = 1; i <= trips; ++i) {
            wait_for(w->there, i);
            set(w->back, i);
        }
        ::_exit(0);
    }
    std::uint32_t i = 0;
    const double trip = median_of(static_cast<int>(trips), [&] {
        set(w->there, ++i);
        wait_for(w->back, i);
    });
    ::waitpid(child, nullptr, 0);
    ::munmap(memory, sizeof(words));
    return trip;
}

std::array<double, 6> python() {
    std::array<double, 6> figures{};
    const std::string command =
        std::string{"/usr/bin/python3 '"} + PLAIT_BENCH_SOURCE + "/rivals/python_processes.py' 2>/dev/null";
    std::FILE* const out = ::popen(command.c_str(), "r");
    if (!out) return figures;
    for (double& f : figures)
        if (std::fscanf(out, "%lf", &f) != 1) f = 0;
    ::pclose(out);
    return figures;
}

bool wanted(const char* name) {
    const char* const only = std::getenv("PLAIT_BENCH_ROW");
    return !only || std::string{name}.find(only) != std::string::npos ||
           std::string{only}.find(name) != std::string::npos;
}

double private_megabytes(int pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
    double kilobytes = 0;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("Private_"))
            kilobytes += std::strtod(line.c_str() + line.find(':') + 1, nullptr);
    return kilobytes / 1024;
}

} // namespace

int main(int argc, char** argv) {
    plait::program program{argc, argv};
    const std::array<double, 6> py = python();

    if (wanted("process round trip")) {
        plait::process_pool pool{{.workers = 1}};
        pool.submit(nothing).get();
        double trip = std::numeric_limits<double>::max();
        double futex = trip;
        for (int round = 0; round < 5; ++round) { // by turns: both see the same machine
            futex = std::min(futex, futex_trip());
            trip = std::min(trip, median_of(5000, [&] { pool.submit(nothing).get(); }));
        }
        row("process round trip", "ns", trip, {{"futex round trip", futex}}, 1 / 1.3);
        row("process round trip and Python's", "ns", trip,
            {{"multiprocessing", py[0]}, {"ProcessPoolExecutor", py[3]}}, 12);
    }
    if (wanted("process tiny tasks") || wanted("process tasks with futures")) {
        constexpr int tasks = 1'000'000;
        plait::process_pool pool{{.workers = 2}};
        const double mapped =
            best_of(3,
                    [&] {
                        long sum = 0;
                        for (const int x : pool.map(same, std::views::iota(0, tasks),
                                                    plait::map_options{.window = 4096, .chunk = 1}))
                            sum += x;
                        if (sum != tasks * (tasks - 1L) / 2) std::abort();
                    }) /
            tasks;
        row("process tiny tasks", "ns", mapped, {{"the goal", 150}}, 1);
        row("process tiny tasks and Python's", "ns", mapped, {{"multiprocessing, chunksize 1", py[1]}}, 100);
        const double futures = best_of(3,
                                       [&] {
                                           std::vector<plait::future<int>> all;
                                           all.reserve(tasks);
                                           for (int i = 0; i < tasks; ++i)
                                               all.push_back(pool.submit(same, i));
                                           long sum = 0;
                                           for (auto& f : all) sum += f.get();
                                           if (sum != tasks * (tasks - 1L) / 2) std::abort();
                                       }) /
                               tasks;
        row("process tasks with futures", "ns", futures, {{"the goal", 300}}, 1);
    }
    if (wanted("100 MB in and out")) {
        plait::process_pool pool{{.workers = 1}};
        const std::vector<double> data(12'500'000, 1.5);
        double there = std::numeric_limits<double>::max();
        double copies = there;
        for (int round = 0; round < 5; ++round) {
            copies = std::min(copies, best_of(1, [&] {
                                  const std::vector<double> one = data;
                                  const std::vector<double> two = one;
                                  if (two.back() != 1.5) std::abort();
                              }));
            there = std::min(there, best_of(1, [&] {
                                 if (pool.submit(back, data).get().back() != 1.5) std::abort();
                             }));
        }
        row("100 MB in and out", "ms", there / 1e6, {{"two copies of the vector", copies / 1e6}}, 1 / 1.3);
        row("100 MB in and out and Python's", "ms", there / 1e6, {{"multiprocessing", py[2] / 1e6}}, 20);
    }
    if (wanted("shared_array to two workers")) {
        plait::process_pool pool{{.workers = 2}};
        double passed = std::numeric_limits<double>::max();
        for (int round = 0; round < 3; ++round) {
            plait::shared_array<double> whole{std::size_t{1} << 27};
            const plait::shared_array<const double> shown{whole};
            pool.submit(nothing).get();
            passed = std::min(passed, best_of(1, [&] {
                                  auto one = pool.submit(touch, shown);
                                  auto two = pool.submit(touch, shown);
                                  if (one.get() + two.get() != 0) std::abort();
                              }));
        }
        row("shared_array to two workers", "ms", passed / 1e6, {{"the goal", 1}}, 1);
    }
    if (wanted("process pool ready")) {
        const auto make_and_end = [] {
            plait::process_pool pool{{.workers = 2}};
            auto one = pool.submit(nothing);
            auto two = pool.submit(nothing);
            one.get();
            two.get();
        };
        const double ready = best_of(15, make_and_end);
        row("process pool ready", "ms", ready / 1e6, {{"the goal", 5}}, 1);
        row("process pool ready and Python's", "ms", ready / 1e6, {{"multiprocessing, fork", py[5] / 1e6}},
            10);
        // A fork copies the tables of what the program holds.
        std::vector<double> held(12'500'000, 1.5);
        row("process pool ready beside 100 MB and Python's", "ms", best_of(15, make_and_end) / 1e6,
            {{"multiprocessing, fork", py[4] / 1e6}}, 10);
        const plait::program keeper{0, nullptr, {.keep_helper = true}};
        row("process pool ready of a kept helper beside 100 MB and Python's", "ms",
            best_of(15, make_and_end) / 1e6, {{"multiprocessing, fork", py[4] / 1e6}}, 10);
        if (held.back() != 1.5) std::abort();
        held = {};
        row("process pool ready of a kept helper and Python's", "ms", best_of(15, make_and_end) / 1e6,
            {{"multiprocessing, fork", py[5] / 1e6}}, 10);
    }
    if (wanted("worker replaced")) {
        plait::process_pool pool{{.workers = 1}};
        pool.submit(nothing).get();
        double best = std::numeric_limits<double>::max();
        for (int round = 0; round < 15; ++round) {
            const int before = pool.submit(::getpid).get();
            const auto begun = clock_type::now();
            ::kill(before, SIGKILL);
            for (;;) {
                const auto now = pool.status()[0];
                if (now.ready && now.pid != before) break;
                std::this_thread::yield();
            }
            best = std::min(best, since(begun));
        }
        row("worker replaced", "ms", best / 1e6, {{"the goal", 1}}, 1);
    }
    if (wanted("idle worker's memory")) {
        plait::process_pool pool{{.workers = 1}};
        for (int i = 0; i < 100; ++i) pool.submit(nothing).get();
        row("idle worker's memory", "MB", private_megabytes(pool.status()[0].pid), {{"the goal", 2}}, 1);
    }
}
