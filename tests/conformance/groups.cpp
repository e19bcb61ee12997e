// SPDX-License-Identifier: Apache-2.0
// limit: 120
// with_group and task_group.
#include "support/strands.hpp"

#include <plait/errors.hpp>

#include <latch>

namespace plait::test {
namespace {

template <class E>
class Group : public on_executor<E> {};
TYPED_TEST_SUITE(Group, executors, conformance::names);

/// The numbers of the failures that `f` throws as an error_group, in order; empty if it throws nothing.
task<std::vector<int>> numbers_of(task<> t) {
    std::vector<int> numbers;
    try {
        co_await std::move(t);
    } catch (const error_group& group) {
        for (const std::exception_ptr& e : group.errors()) {
            try {
                std::rethrow_exception(e);
            } catch (const failure& f) {
                numbers.push_back(f.number);
            } catch (...) {
                numbers.push_back(-1);
            }
        }
    }
    co_return numbers;
}

task<> until_count(const std::atomic<int>& n, int wanted) {
    while (n < wanted) co_await yield();
}

TYPED_TEST(Group, C12_SpawnBeforeDuringAndFromChildrenAndFuturesHaveTheValues) {
    this->run([]() -> task<> {
        std::atomic<int> ended{0};
        const int body = co_await with_group([&](task_group& group) -> task<int> {
            auto early = group.spawn(after_yields(3, 1));
            co_await yield();
            auto nested = group.spawn([&]() -> task<int> {
                auto inner = group.spawn(after_yields(2, 20));
                group.spawn([&]() -> task<> {
                    co_await yield();
                    ++ended;
                });
                co_return co_await inner + 2;
            });
            auto plain = group.spawn([](int a, int b) { return a * b; }, 6, 7);
            EXPECT_EQ(co_await early, 1);
            EXPECT_EQ(co_await nested, 22);
            EXPECT_EQ(co_await plain, 42);
            group.spawn([&]() -> task<> {
                for (int i = 0; i < 10; ++i) co_await yield();
                ++ended;
            });
            co_return 5;
        });
        EXPECT_EQ(body, 5);
        EXPECT_EQ(ended, 2) << "leaving has waited for all";
    });
}

TYPED_TEST(Group, C12_TheBodyMayBeAFunction) {
    this->run([]() -> task<> {
        std::atomic<int> sum{0};
        const int n = co_await with_group([&](task_group& group) {
            for (int i = 1; i <= 10; ++i) group.spawn([&sum, i] { sum += i; });
            return 10;
        });
        EXPECT_EQ(n, 10);
        EXPECT_EQ(sum, 55);
    });
}

task<> brief(counted) { co_await yield(); }

TEST(LoopGroup, C12_AMillionChildrenAreFreedAtOnce) {
    const int total = sanitized ? 100'000 : 1'000'000;
    run([](int count) -> task<> {
        std::atomic<int> live{0};
        int most = 0;
        std::size_t before = 0;
        co_await with_group([&](task_group& group) -> task<> {
            for (int i = 0; i < count; ++i) {
                if (i == count / 10) before = resident_bytes();
                group.spawn(brief, counted{live});
                most = std::max<int>(most, live);
                if (i % 100 == 99)
                    for (int k = 0; k < 3; ++k) co_await yield();
            }
        });
        EXPECT_EQ(live, 0);
        EXPECT_LE(most, 400);
        if (!sanitized) {
            EXPECT_LT(resident_bytes(), before + (1U << 20));
        }
    }(total));
}

TYPED_TEST(Group, C13_AChildCancelledByHandLeavesSiblingsAndGroupAlone) {
    witness w;
    this->run([&]() -> task<> {
        const int sum = co_await with_group([&](task_group& group) -> task<int> {
            auto sleeper = group.spawn([&]() -> task<> { co_await w.wait(); });
            auto worker = group.spawn(after_yields(20, 4));
            co_await until_count(w.began, 1);
            EXPECT_TRUE(sleeper.cancel());
            try {
                co_await sleeper;
                ADD_FAILURE();
            } catch (const cancelled&) {}
            co_await yield();
            co_return co_await worker + 1;
        });
        EXPECT_EQ(sum, 5);
        co_await yield();
    });
    EXPECT_EQ(w.cancelled, 1);
}

TYPED_TEST(Group, C14_AFailureCancelsSiblingsAndBodyAndAllRealFailuresComeTogether) {
    witness w;
    this->run([&]() -> task<> {
        const auto fail_too = [&]() -> task<> {
            ++w.began;
            try {
                co_await forever();
            } catch (const cancelled&) {}
            throw failure{2};
        };
        const auto numbers = co_await numbers_of(with_group([&](task_group& group) -> task<> {
            group.spawn([&]() -> task<> { co_await w.wait(); });
            group.spawn(fail_too());
            co_await until_count(w.began, 2);
            group.spawn(fail_after(1, 1));
            co_await w.wait();
        }));
        EXPECT_EQ(numbers, (std::vector{1, 2})) << "no cancellations among them";
        EXPECT_EQ(w.ended, 2);
        co_await yield();
        EXPECT_EQ(co_await after_yields(2, 3), 3) << "the caller awaits normally";
    });
    EXPECT_EQ(w.cancelled, 2);
    EXPECT_EQ(this->unheard.count(), 0U);
}

TYPED_TEST(Group, C15_TheBodyThrows) {
    witness w;
    this->run([&]() -> task<> {
        const auto fail_too = [&]() -> task<> {
            ++w.began;
            try {
                co_await forever();
            } catch (const cancelled&) {}
            throw failure{2};
        };
        const auto numbers = co_await numbers_of(with_group([&](task_group& group) -> task<> {
            group.spawn([&]() -> task<> { co_await w.wait_and_resist(5); });
            group.spawn(fail_too());
            co_await until_count(w.began, 2);
            throw failure{1};
        }));
        EXPECT_EQ(numbers, (std::vector{1, 2}));
        EXPECT_EQ(w.ended, 1) << "ended before the group throws";
        co_await yield();
    });
}

TYPED_TEST(Group, C15_ABodyThatEndsByCancellationTakesTheChildrenAlong) {
    witness w;
    this->run([&]() -> task<> {
        try {
            co_await with_group([&](task_group& group) -> task<> {
                group.spawn([&]() -> task<> { co_await w.wait(); });
                co_await until_count(w.began, 1);
                throw cancelled{}; // of something that it awaited, say
            });
            ADD_FAILURE();
        } catch (const cancelled&) {}
        EXPECT_EQ(w.cancelled, 1);
        co_await yield();
    });
}

/// Runs `inner`, and cancels it once `w` has seen `began` waits.
task<outcome<void>> cancel_when(witness& w, int began, task<> inner, std::atomic<bool>* stays = nullptr) {
    const auto stop = [](witness& seen, int n) -> task<> {
        while (seen.began < n) co_await yield();
        throw failure{100};
    };
    const auto hold = [](task<> t, outcome<void>& result, std::atomic<bool>* flag) -> task<> {
        try {
            co_await std::move(t);
        } catch (...) {
            result = outcome<void>{std::current_exception()};
        }
        try {
            co_await yield();
        } catch (const cancelled&) {
            if (flag) *flag = true;
            throw;
        }
    };
    outcome<void> result;
    try {
        co_await gather(hold(std::move(inner), result, stays), stop(w, began));
    } catch (const failure&) {}
    co_return result;
}

TYPED_TEST(Group, C16_OuterCancelReachesChildrenAndBody) {
    witness w;
    this->run([&]() -> task<> {
        std::atomic<bool> stays{false};
        auto result =
            co_await cancel_when(w, 3, with_group([&](task_group& group) -> task<> {
                                     group.spawn([&]() -> task<> { co_await w.wait(); });
                                     group.spawn([&]() -> task<> { co_await w.wait_and_resist(5); });
                                     co_await w.wait();
                                 }),
                                 &stays);
        EXPECT_THROW(result.value(), cancelled);
        EXPECT_EQ(w.ended, 3);
        EXPECT_TRUE(stays);
    });
    EXPECT_EQ(w.cancelled, 3);
}

TYPED_TEST(Group, C16_WithARealFailureMeanwhileErrorGroupAndTheOuterStaysCancelled) {
    witness w;
    this->run([&]() -> task<> {
        std::atomic<bool> stays{false};
        const auto fail_too = [&]() -> task<> {
            try {
                co_await w.wait();
            } catch (const cancelled&) {}
            throw failure{2};
        };
        auto result = co_await cancel_when(w, 2, with_group([&](task_group& group) -> task<> {
                                               group.spawn(fail_too());
                                               co_await w.wait();
                                           }),
                                           &stays);
        EXPECT_THROW(result.value(), error_group);
        EXPECT_TRUE(stays);
    });
}

TYPED_TEST(Group, C17_CancelEndsTheGroupQuietly) {
    witness w;
    this->run([&]() -> task<> {
        co_await with_group([&](task_group& group) -> task<> {
            group.spawn([&]() -> task<> { co_await w.wait(); });
            co_await until_count(w.began, 1);
            group.cancel();
            co_await w.wait();
        });
        EXPECT_EQ(w.ended, 2);
        co_await with_group([&](task_group& group) -> task<> {
            group.spawn([&]() -> task<> { co_await w.wait(); });
            group.spawn([&]() -> task<> { // a child may, too
                co_await until_count(w.began, 3);
                group.cancel();
            });
            co_return;
        });
        co_await yield();
    });
    EXPECT_EQ(w.passed, 0);
}

TYPED_TEST(Group, C17_AnOuterCancelThatArrivesMeanwhileStillComesOut) {
    std::atomic<int> ready{0};
    std::atomic<bool> stopped{false};
    bool came_out = false;
    const auto outer = [&]() -> task<> {
        try {
            co_await with_group([&](task_group& group) -> task<> {
                group.cancel();
                ++ready;
                co_await until(stopped);
                co_await forever();
            });
        } catch (const cancelled&) {
            came_out = true;
        }
    };
    const auto stop = [&]() -> task<> {
        co_await until_count(ready, 2);
        throw failure{1};
    };
    const auto notice = [&]() -> task<> { // the last to be stopped: the others have been by then
        ++ready;
        try {
            co_await forever();
        } catch (const cancelled&) {
            stopped = true;
        }
    };
    this->run([&]() -> task<> {
        try {
            co_await gather(outer(), stop(), notice());
            ADD_FAILURE();
        } catch (const failure&) {}
    });
    EXPECT_TRUE(came_out);
}

TYPED_TEST(Group, C17_ATimeoutThatArrivesMeanwhileStillComesOut) {
    this->run([]() -> task<> {
        std::atomic<bool> over{false};
        const auto resist = [](std::atomic<bool>& flag) -> task<> {
            while (!flag) co_await yield();
        };
        const auto cancelled_group = [&]() -> task<> {
            co_await with_group([&](task_group& group) -> task<> {
                group.cancel();
                // Goes on until the timeout has fired, which it sees by the scope around the group.
                co_await shield(resist(over));
                co_await forever();
            });
        };
        const auto release = [&]() -> task<> {
            co_await sleep_for(20ms);
            over = true;
        };
        const auto limited = [&]() -> task<> {
            try {
                co_await timeout(1ms, cancelled_group());
                ADD_FAILURE();
            } catch (const timeout_error&) {}
        };
        co_await gather(limited(), release());
    });
}

TYPED_TEST(Group, C18_SpawningIntoACancelledGroupNeverRunsAndFreesAtOnce) {
    this->run([]() -> task<> {
        std::atomic<int> live{0};
        std::atomic<bool> ran{false};
        co_await with_group([&](task_group& group) -> task<> {
            group.cancel();
            auto f = group.spawn(
                [&](counted) -> task<> {
                    ran = true;
                    co_return;
                },
                counted{live});
            EXPECT_TRUE(f.done());
            EXPECT_TRUE(f.cancelled());
            EXPECT_EQ(live, 0);
            auto g = group.spawn([&ran, c = counted{live}] { ran = true; });
            EXPECT_TRUE(g.cancelled());
            EXPECT_EQ(live, 0);
            co_return;
        });
        EXPECT_FALSE(ran);
    });
}

TEST(CancelledGroup, C8_AChildThatComesTooLateLeavesTheGroupIncomplete) {
    thread_pool pool{{.workers = 1}};
    std::latch begun{1};
    std::latch cancelled_now{1};
    auto f = pool.submit([&]() -> task<> {
        co_await with_group([&](task_group& group) {
            begun.count_down();
            cancelled_now.wait();
            group.spawn([] { ADD_FAILURE() << "it has run"; });
        });
        ADD_FAILURE() << "the group has returned as if it were complete";
    });
    begun.wait();
    f.cancel();
    cancelled_now.count_down();
    EXPECT_THROW(f.get(), cancelled);
}

TEST(EndedGroup, C18_SpawningThrowsLogicErrorAndGivesTheTaskUp) {
    thread_pool pool{{.workers = 2}};
    task_group group = detail::group_access::make(pool.next_worker());
    detail::group_access::core(group).end(); // as with_group does when all have gone
    std::atomic<int> live{0};
    EXPECT_THROW(group.spawn(brief, counted{live}), std::logic_error);
    EXPECT_EQ(live, 0);
}

TYPED_TEST(Group, C18_ChildrenThatSpawnForEverEndToo) {
    std::atomic<int> spawned{0};
    this->run([&]() -> task<> {
        co_await with_group([&](task_group& group) -> task<> {
            struct breed {
                static task<> child(task_group& g, std::atomic<int>& n) {
                    ++n;
                    g.spawn(child, std::ref(g), std::ref(n));
                    co_await yield();
                    g.spawn(child, std::ref(g), std::ref(n));
                }
            };
            group.spawn(breed::child, std::ref(group), std::ref(spawned));
            co_await until_count(spawned, 100);
            group.cancel();
        });
    });
    EXPECT_GE(spawned, 100);
}

TYPED_TEST(Group, C19_AnInnerFailureCancelsTheOutersChildren) {
    witness w;
    this->run([&]() -> task<> {
        std::vector<int> inner_numbers;
        const auto numbers = co_await numbers_of(with_group([&](task_group& outer) -> task<> {
            outer.spawn([&]() -> task<> { co_await w.wait(); });
            outer.spawn([&]() -> task<> {
                inner_numbers = co_await numbers_of(with_group([&](task_group& inner) -> task<> {
                    inner.spawn([&]() -> task<> { co_await w.wait(); });
                    co_await until_count(w.began, 2);
                    inner.spawn(fail_after(1, 3));
                }));
                throw failure{4};
            });
            co_return;
        }));
        EXPECT_EQ(inner_numbers, std::vector{3});
        EXPECT_EQ(numbers, std::vector{4});
    });
    EXPECT_EQ(w.cancelled, 2);
}

TYPED_TEST(Group, C19_AnOuterFailureReachesTheInnerAtItsAwait) {
    witness w;
    this->run([&]() -> task<> {
        const auto numbers = co_await numbers_of(with_group([&](task_group& outer) -> task<> {
            outer.spawn([&]() -> task<> {
                co_await with_group([&](task_group& inner) -> task<> {
                    inner.spawn([&]() -> task<> { co_await w.wait(); });
                    co_await w.wait();
                });
                ADD_FAILURE();
            });
            co_await until_count(w.began, 2);
            throw failure{5};
        }));
        EXPECT_EQ(numbers, std::vector{5});
    });
    EXPECT_EQ(w.cancelled, 2);
}

TEST(ThreadGroup, C12_ForThreadsWaitGivesAllFailuresTogether) {
    thread_pool pool{{.workers = 2}};
    task_group group{pool};
    std::atomic<int> sum{0};
    for (int i = 0; i < 100; ++i) group.spawn([&sum, i] { sum += i; });
    group.wait();
    EXPECT_EQ(sum, 4950);
    group.spawn([]() { throw failure{1}; });
    EXPECT_THROW(group.wait(), error_group);
}

TEST(ThreadGroup, C12_APoolThreadThatWaitsRunsTheChildrenItself) {
    thread_pool pool{{.workers = 1}};
    const int result = pool.submit([&pool] {
                               task_group group{pool};
                               std::atomic<int> n{0};
                               for (int i = 0; i < 10; ++i) group.spawn([&n] { ++n; });
                               group.wait();
                               return n.load();
                           })
                           .get();
    EXPECT_EQ(result, 10);
}

} // namespace
} // namespace plait::test
