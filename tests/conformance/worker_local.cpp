// SPDX-License-Identifier: Apache-2.0
// L1 to L5: worker_local and initializers.
// limit: 120
#include "conformance/executors.hpp"
#include "conformance/probe.hpp"

#include <plait/errors.hpp>
#include <plait/task.hpp>
#include <plait/time.hpp>
#include <plait/worker_local.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace conformance;

template <class E>
struct WorkerLocal : ::testing::Test {};
TYPED_TEST_SUITE(WorkerLocal, executors, names);

struct value {
    int uses = 0;
};
plait::worker_local<value> shared_value;
plait::worker_local<value> other_value;

// An address with its process, so that those of different workers differ.
std::string place_of(const void* p) {
    return std::to_string(::getpid()) + ":" + std::to_string(reinterpret_cast<std::uintptr_t>(p));
}
std::string place(int) {
    ++shared_value->uses;
    return place_of(&*shared_value);
}
std::string place_and_hold(const token& t) {
    hold(t, 0);
    return place(0);
}
std::string other_place() { return place_of(&*other_value); }
plait::task<bool> same_after_await() {
    const value* before = &*shared_value;
    for (int i = 0; i < 10; ++i) co_await plait::yield();
    co_return &*shared_value == before;
}

plait::task<std::string> place_after_await(int) {
    co_await plait::yield();
    co_return place(0);
}

TYPED_TEST(WorkerLocal, L1_OnePerWorkerAtTheSameAddress) {
    probe p;
    auto ex = make<TypeParam>();
    const opener at_end{p};
    const std::size_t n = ex.concurrency();
    std::set<std::string> places;
    if constexpr (immediate<TypeParam>) { // in another way
        places.insert(ex.submit(place, 0).get());
    } else {
        std::vector<plait::future<std::string>> busy;
        for (std::size_t i = 0; i < n; ++i) busy.push_back(ex.submit(place_and_hold, p.at()));
        p.wait_begun(static_cast<int>(n));
        p.open();
        for (auto& f : busy) places.insert(f.get());
    }
    EXPECT_EQ(places.size(), n);
    for (const std::string& s : ex.map(place, std::vector<int>(500))) ASSERT_TRUE(places.contains(s));
    // Also after an await, on whichever worker the task is then.
    for (const std::string& s : ex.map(place_after_await, std::vector<int>(50)))
        EXPECT_TRUE(places.contains(s)) << s;
    if constexpr (!roaming<TypeParam>) { // else: changes_threads
        EXPECT_TRUE(ex.submit(same_after_await).get());
    }
}

TYPED_TEST(WorkerLocal, L2_PoolsAndLocalsAreDistinct) {
    auto one = make<TypeParam>();
    auto two = make<TypeParam>();
    std::set<std::string> in_one;
    for (const std::string& s : one.map(place, std::vector<int>(100))) in_one.insert(s);
    for (const std::string& s : two.map(place, std::vector<int>(100))) EXPECT_FALSE(in_one.contains(s));
    EXPECT_NE(one.submit(other_place).get(), one.submit(place, 0).get());
}

TYPED_TEST(WorkerLocal, L2_ASlotThatFollowsADestroyedOneStartsFresh) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>();
        for (int round = 0; round < 20; ++round) {
            plait::worker_local<value> fresh;
            EXPECT_EQ(ex.submit([&fresh] { return fresh->uses++; }).get(), 0);
        }
    }
}

TYPED_TEST(WorkerLocal, L3_AConstructorThatThrowsIsTriedAgain) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        auto ex = make<TypeParam>({.workers = 1});
        std::atomic<int> attempts{0};
        plait::worker_local<value> local{[&attempts]() -> value {
            if (++attempts == 1) throw std::runtime_error{"the first attempt"};
            return value{5};
        }};
        const auto use = [&local] { return local->uses; };
        EXPECT_THROW(ex.submit(use).get(), std::runtime_error);
        EXPECT_EQ(ex.submit(use).get(), 5);
        EXPECT_EQ(ex.submit(use).get(), 5);
        EXPECT_EQ(attempts, 2);
    }
}

TYPED_TEST(WorkerLocal, L3_DiesOnItsWorkerBeforeShutdownReturnsLastMadeFirst) {
    if constexpr (!in_process<TypeParam>) {
        skip_for<TypeParam>(because::own_memory);
    } else {
        std::mutex mutex;
        std::vector<std::string> order;
        struct witness {
            witness(std::mutex& m, std::vector<std::string>& o, const char* n)
                : mutex{&m}, order{&o}, name{n} {}
            witness(witness&& w) noexcept = delete;
            ~witness() {
                const std::lock_guard guard{*mutex};
                order->push_back(std::string{name} +
                                 (std::this_thread::get_id() == made_on ? "" : " elsewhere"));
            }
            std::mutex* mutex;
            std::vector<std::string>* order;
            const char* name;
            std::thread::id made_on = std::this_thread::get_id();
        };
        plait::worker_local<witness> first{[&] { return witness{mutex, order, "first"}; }};
        plait::worker_local<witness> second{[&] { return witness{mutex, order, "second"}; }};
        auto ex = make<TypeParam>({.workers = 1});
        ex.submit([&] {
              (void)*first;
              (void)*second;
          }).get();
        EXPECT_TRUE(order.empty());
        ex.shutdown();
        EXPECT_EQ(order, (std::vector<std::string>{"second", "first"}));
    }
}

int initialized = 0; // in a worker process
void initialize_process() { ++initialized; }
int how_often() { return initialized; }
int dies_or_counts(bool die) {
    if (die) ::_exit(9);
    return initialized;
}

TYPED_TEST(WorkerLocal, L4_TheInitializerRunsOnceOnEachWorkerBeforeItsFirstTask) {
    if constexpr (!sized<TypeParam>) {
        skip_for<TypeParam>(because::no_initializer);
    } else if constexpr (in_process<TypeParam>) { // in another way
        static thread_local int here;
        std::atomic<int> total{0};
        auto ex = make_with_initializer<TypeParam>([&total] {
            ++total;
            ++here;
        });
        for (int v : ex.map([](int) { return here; }, std::vector<int>(1000))) ASSERT_EQ(v, 1);
        ex.shutdown();
        EXPECT_EQ(total, 2);
    } else {
        auto ex = make_with_initializer<TypeParam>(initialize_process);
        for (int i = 0; i < 100; ++i) ASSERT_EQ(ex.submit(how_often).get(), 1);
        for (int i = 0; i < 4; ++i) EXPECT_THROW(ex.submit(dies_or_counts, true).get(), plait::worker_lost);
        for (int i = 0; i < 100; ++i) ASSERT_EQ(ex.submit(dies_or_counts, false).get(), 1) << "a replacement";
    }
}

void initializer_throws() { throw std::runtime_error{"no database"}; }
void initializer_crashes() { ::_exit(7); }

template <class E, class Initializer>
void expect_broken(Initializer initializer, const char* cause) {
    auto ex = make_with_initializer<E>(initializer);
    std::vector<plait::future<int>> all;
    for (int i = 0; i < 20; ++i) all.push_back(ex.submit(how_often));
    for (auto& f : all) {
        try {
            f.get();
            ADD_FAILURE() << "a task has run";
        } catch (const plait::pool_broken& e) {
            EXPECT_NE(std::string{e.what()}.find(cause), std::string::npos) << e.what();
        }
    }
    try {
        ex.submit(how_often).get();
        ADD_FAILURE() << "a later task has run";
    } catch (const plait::pool_broken& e) {
        EXPECT_NE(std::string{e.what()}.find(cause), std::string::npos) << e.what();
    }
    ex.shutdown();
}

TYPED_TEST(WorkerLocal, L5_AnInitializerThatFailsBreaksThePool) {
    if constexpr (!sized<TypeParam>) {
        skip_for<TypeParam>(because::no_initializer);
    } else {
        expect_broken<TypeParam>(initializer_throws, "no database");
        if constexpr (!in_process<TypeParam>) { // else: no_processes
            expect_broken<TypeParam>(initializer_crashes, "7");
        }
    }
}

} // namespace
