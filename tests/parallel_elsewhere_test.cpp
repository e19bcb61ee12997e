// SPDX-License-Identifier: Apache-2.0
// The parallel algorithms on executors whose workers have memory of their own, or may have.
// limit: 120
#include <gtest/gtest.h>

#include <plait/any_executor.hpp>
#include <plait/event_loop.hpp>
#include <plait/parallel.hpp>
#include <plait/process_pool.hpp>
#include <plait/process_sync.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using plait::index_space;
using plait::parallel_options;

double quotient(std::size_t i, std::size_t j) {
    return static_cast<double>(i + 1) / static_cast<double>(j + 3);
}
double quotient_of_three(std::size_t i, std::size_t j, std::size_t k) { return quotient(i + j, k); }
double third_of(std::size_t i) { return static_cast<double>(i) / 3; }
double root_of(double x) { return std::sqrt(x); }
std::size_t product(std::size_t i, std::size_t j, std::size_t k) { return i * j * k; }
std::size_t larger(std::size_t a, std::size_t b) { return a < b ? b : a; }

/// Travels along with its factor.
struct scaled {
    double factor = 0;
    double operator()(double x) const { return factor * x; }
};

template <class Test>
void on_each(Test test) {
    plait::process_pool processes{{.workers = 2}};
    test(processes);
    auto of_processes = plait::any_executor::make("processes", {.workers = 2});
    test(of_processes);
    auto of_threads = plait::any_executor::make("threads", {.workers = 3});
    test(of_threads);
}

const parallel_options all_options[] = {
    {}, {.grain = 7}, {.schedule = plait::schedule::fixed}, {.deterministic = true}};

TEST(ParallelElsewhere, ForEachRunsWhatHasEffectsOutside) {
    std::string name = std::filesystem::temp_directory_path() / "plait-parallel-XXXXXX";
    const int file = ::mkstemp(name.data());
    ASSERT_GE(file, 0);
    ::close(file);
    const std::string& path = name;
    std::vector<std::string> paths(50, path);
    on_each([&](auto& ex) {
        for (const parallel_options& options : all_options) {
            std::ofstream(path, std::ios::trunc).close();
            plait::for_each(
                ex, paths, [](const std::string& p) { std::ofstream{p, std::ios::app} << 'x'; }, options);
            std::string text;
            std::ifstream{path} >> text;
            EXPECT_EQ(text, std::string(50, 'x'));
        }
    });
    ::unlink(path.c_str());
}

TEST(ParallelElsewhere, ForEachVisitsAnIndexSpace) {
    plait::process_pool pool{{.workers = 2}};
    const auto check = [](std::size_t i, std::size_t j, std::size_t k) {
        if (i >= 3 || j >= 4 || k >= 5) throw std::out_of_range{"index"};
        if (i == 2 && j == 3 && k == 4) throw std::runtime_error{"the last one"};
    };
    EXPECT_THROW(plait::for_each(pool, index_space{3, 4, 5}, check), std::runtime_error);
    plait::for_each(pool, index_space{3, 4, 4}, check);
    plait::for_each(pool, index_space{0}, [](std::size_t) { throw std::runtime_error{"there are none"}; });
}

TEST(ParallelElsewhere, ReductionsComeToTheSame) {
    std::vector<double> v(20'000);
    std::iota(v.begin(), v.end(), 0.0);
    on_each([&](auto& ex) {
        for (const parallel_options& options : all_options) {
            EXPECT_EQ(plait::reduce(ex, v, options), 199'990'000.0);
            EXPECT_EQ(plait::reduce(ex, std::vector<int>{}, 5), 5);
            EXPECT_EQ(plait::transform_reduce(ex, v, 1.0, std::plus<>{}, scaled{2}, options), 399'980'001.0);
            const std::vector<double> squares{1, 4, 9, 16};
            EXPECT_EQ(plait::transform_reduce(ex, squares, 0.0, std::plus<>{}, root_of, options), 10.0);
            EXPECT_EQ(
                plait::transform_reduce(ex, index_space{4, 5, 6}, std::size_t{0}, larger, product, options),
                60U);
            EXPECT_EQ(plait::transform_reduce(
                          ex, index_space{100, 100}, std::size_t{0}, std::plus<>{},
                          [](std::size_t i, std::size_t j) { return i + j; }, options),
                      990'000U);
        }
    });
}

TEST(ParallelElsewhere, ADeterministicSumHasTheBitsThatThreadsGive) {
    std::mt19937_64 random{3};
    std::vector<double> v(30'000);
    for (double& x : v) x = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 60) - 80);
    plait::serial serial;
    const auto twice = [](double x) { return 2 * x; };
    const double sum = plait::transform_reduce(serial, v, 0.0, std::plus<>{}, twice, {.deterministic = true});
    const double roots =
        plait::transform_reduce(serial, v, 0.0, std::plus<>{}, root_of, {.deterministic = true});
    on_each([&](auto& ex) {
        EXPECT_EQ(std::bit_cast<std::uint64_t>(
                      plait::transform_reduce(ex, v, 0.0, std::plus<>{}, twice, {.deterministic = true})),
                  std::bit_cast<std::uint64_t>(sum));
        EXPECT_EQ(std::bit_cast<std::uint64_t>(
                      plait::transform_reduce(ex, v, 0.0, std::plus<>{}, root_of, {.deterministic = true})),
                  std::bit_cast<std::uint64_t>(roots));
    });
}

TEST(ParallelElsewhere, ADeterministicSumOverASpaceHasTheBitsThatThreadsGive) {
    plait::serial serial;
    constexpr parallel_options options{.deterministic = true};
    const auto sums = [&](auto& ex) {
        const auto object = [](std::size_t i, std::size_t j) { return quotient(i, j); };
        return std::array{
            plait::transform_reduce(ex, index_space{20'000}, 0.0, std::plus<>{}, third_of, options),
            plait::transform_reduce(ex, index_space{150, 100}, 0.0, std::plus<>{}, object, options),
            plait::transform_reduce(ex, index_space{150, 100}, 0.0, std::plus<>{}, quotient, options),
            plait::transform_reduce(ex, index_space{30, 20, 25}, 0.0, std::plus<>{}, quotient_of_three,
                                    options)};
    };
    const auto here = sums(serial);
    on_each([&](auto& ex) {
        const auto there = sums(ex);
        for (std::size_t i = 0; i < here.size(); ++i)
            EXPECT_EQ(std::bit_cast<std::uint64_t>(there[i]), std::bit_cast<std::uint64_t>(here[i])) << i;
    });
}

TEST(ParallelElsewhere, TheFirstFailureOfAnInvokeStopsTheOthers) {
    auto ex = plait::any_executor::make("threads", {.workers = 2});
    EXPECT_THROW(plait::invoke(
                     ex,
                     [] {
                         while (!plait::this_task::stop_token().stop_requested()) std::this_thread::yield();
                     },
                     []() -> int { throw std::out_of_range{"two"}; }),
                 std::out_of_range);
}

void wait_for(const plait::process_event& event) { event.wait_blocking(); }

/// Tells when it is sent along.
struct told {
    int answer = 1;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(answer);
        sent = true;
        sent.notify_one();
    }
    int operator()() const { return answer; }
    static inline std::atomic<bool> sent{false};
};

TEST(ParallelElsewhere, OfACancelledCallersInvokeNothingBeginsAnyMore) {
    plait::thread_pool callers{{.workers = 1}};
    plait::process_pool pool{{.workers = 1}};
    const plait::process_event over;
    auto held = pool.submit(wait_for, over); // until the caller has ended
    auto caller = callers.submit([&] { plait::invoke(pool, [] { return 0; }, told{}); });
    told::sent.wait(false);
    caller.cancel();
    EXPECT_THROW(caller.get(), plait::cancelled);
    over.set();
    held.get();
}

TEST(ParallelElsewhere, InvokeRunsFunctionsThere) {
    on_each([](auto& ex) {
        auto [pid, text, nothing] = plait::invoke(ex, &::getpid, [] { return std::string{"text"}; }, [] {});
        EXPECT_GT(pid, 0);
        EXPECT_EQ(text, "text");
        static_assert(std::is_same_v<decltype(nothing), std::monostate>);
        EXPECT_THROW(plait::invoke(
                         ex, [] { return 1; }, []() -> int { throw std::out_of_range{"two"}; }),
                     std::out_of_range);
    });
}

TEST(ParallelElsewhere, AfterShutdownItThrows) {
    on_each([](auto& ex) {
        ex.shutdown();
        EXPECT_THROW(plait::for_each(ex, index_space{3}, [](std::size_t) {}), plait::shutdown_error);
        EXPECT_THROW(plait::transform_reduce(ex, index_space{3}, std::size_t{0}, std::plus<>{},
                                             [](std::size_t i) { return i; }),
                     plait::shutdown_error);
    });
}

} // namespace
