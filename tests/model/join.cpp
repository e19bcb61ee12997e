// SPDX-License-Identifier: Apache-2.0
// A gather's children on a pool's two threads: begun, taken back or stolen, counted out; the last one resumes the parent.
// with: strand/pool_engine strand/pool_search strand/pool_sleep strand/pool_blocking strand/engine strand/post_lane strand/failures
// with: coro/fork coro/group coro/posted coro/job coro/join strand/worker_local
// small: strand/pool_engine.hpp most_spares = 256 -> most_spares = 1
// small: strand/post_lane.hpp block = 32, blocks = 31 -> block = 2, blocks = 2
#include "pools.hpp"

#include <exception>
#include <plait/async_event.hpp>
#include <plait/cancelled.hpp>
#include <plait/gather.hpp>
#include <plait/task.hpp>
#include <utility>
#include <vector>

using plait::testing::check;

namespace {

struct bad : std::exception {};

template <class Body>
auto run_on_pool(Body body) {
    pool p;
    return run_on(p, std::move(body));
}

// The same, while another of the pool's tasks sets `e`.
template <class Body>
auto run_beside_setter(plait::async_event& e, Body body) {
    pool p;
    auto f = p.submit(std::move(body));
    p.post([&e] { e.set(); });
    p.shutdown();
    return f.get();
}

// What they return, the parent sees.
plait::task<payload> tree(int depth) {
    if (depth == 0) co_return payload{1};
    const auto [a, b] = co_await plait::gather(tree(depth - 1), tree(depth - 1));
    co_return payload{a.value() + b.value()};
}
plait::task<> waits_for(plait::async_event& e) { co_await e.wait(); }
plait::task<payload> value_after(plait::async_event& e) {
    co_await e.wait();
    co_return payload{7};
}
plait::task<> pair_waits_for(plait::async_event& e) { co_await plait::gather(waits_for(e), waits_for(e)); }
plait::task<> sets(plait::async_event& e) {
    e.set();
    co_return;
}
plait::task<> fails() {
    throw bad{};
    co_return;
}

TEST(Model, Join_TwoChildren) {
    explored_at_random("join: two children",
                       [] { check(run_on_pool([] { return tree(1); }).value() == 2, "a value was lost"); });
}

TEST(Model, Join_ATree) {
    explored_at_random("join: a tree of seven",
                       [] { check(run_on_pool([] { return tree(2); }).value() == 4, "a value was lost"); });
}

TEST(Model, Join_NotAllAtATime) {
    explored_at_random("join: three children, two at a time", [] {
        const int sum = run_on_pool([]() -> plait::task<int> {
            std::vector<plait::task<payload>> all;
            for (int n = 0; n < 3; ++n) all.push_back(tree(0));
            int values = 0;
            for (const payload& n : co_await plait::gather(std::move(all), {.limit = 2})) values += n.value();
            co_return values;
        });
        check(sum == 3, "a value was lost");
    });
}

// The first needs a scope of its own in the middle of it.
TEST(Model, Join_AChildWaitsForTheNext) {
    explored_at_random("join: a child that waits for the next one", [] {
        run_on_pool([]() -> plait::task<> {
            plait::async_event e;
            co_await plait::gather(waits_for(e), sets(e));
        });
    });
}

// As does one that was alone when it began, in a gather whose parent is light. Another task sets what it waits for.
TEST(Model, Join_TheLastChildWaits) {
    explored_at_random("join: a last child that waits", [] {
        plait::async_event e;
        run_beside_setter(e, [&e]() -> plait::task<> {
            const auto pair = [&e]() -> plait::task<> { co_await plait::gather(tree(0), waits_for(e)); };
            co_await plait::gather(pair(), tree(0));
        });
    });
}

// The last one begins while the first still waits: it must not be taken for alone.
TEST(Model, Join_TheFirstChildWaits) {
    explored_at_random("join: a first child that waits, and two others", [] {
        plait::async_event e;
        const int sum = run_beside_setter(e, [&e]() -> plait::task<int> {
            const auto three = [&e]() -> plait::task<int> {
                const auto [a, b, c] = co_await plait::gather(value_after(e), tree(0), tree(0));
                co_return a.value() + b.value() + c.value();
            };
            const auto [values, other] = co_await plait::gather(three(), tree(0));
            co_return values + other.value();
        });
        check(sum == 10, "a value was lost");
    });
}

// Their parents are light too, and get their scopes first, perhaps from two children at once.
TEST(Model, Join_ForksOfForksWait) {
    explored_at_random("join: a pair that waits in a pair", [] {
        plait::async_event e;
        run_beside_setter(e, [&e]() -> plait::task<> { co_await plait::gather(pair_waits_for(e), tree(0)); });
    });
}

TEST(Model, Join_AFailureStopsTheOther) {
    explored_at_random("join: one child fails, the other waits", [] {
        try {
            run_on_pool([]() -> plait::task<> {
                plait::async_event never;
                co_await plait::gather(waits_for(never), fails());
            });
            check(false, "no failure came out");
        } catch (const bad&) {}
    });
}

// A coroutine that is no task, with a scope of its own on a pool: its children are posted, and may end before it has suspended.
class foreign {
  public:
    struct promise_type {
        plait::detail::context scope;
        plait::detail::task_node node{};
        foreign get_return_object() noexcept {
            return foreign{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const { throw; }
    };
    foreign(const foreign&) = delete;
    foreign& operator=(const foreign&) = delete;
    ~foreign() { handle_.destroy(); }

    void start_on(plait::detail::worker& home) {
        plait::detail::context& scope = handle_.promise().scope;
        scope.home = &home;
        scope.node = &handle_.promise().node;
        plait::detail::resume(handle_, scope);
    }

  private:
    explicit foreign(std::coroutine_handle<promise_type> h) noexcept : handle_{h} {}
    const std::coroutine_handle<promise_type> handle_;
};

TEST(Model, Join_ChildrenEndBeforeTheirParentSuspends) {
    explored_at_random("join: two children of a coroutine that is no task", [] {
        flag done;
        const auto gathers = [&done]() -> foreign {
            const auto [a, b] = co_await plait::gather(tree(0), tree(0));
            check(a.value() + b.value() == 2);
            done.raise();
        };
        foreign parent = gathers();
        pool p;
        const auto start = [&] { parent.start_on(*p.engine); };
        p.post([&start] { start(); });
        done.wait();
        p.shutdown();
    });
}

TEST(Model, Join_ACancellationReachesAllChildren) {
    explored_at_random("join: a pair that waits in a pair, cancelled from outside", [] {
        plait::async_event never;
        pool p;
        auto f = p.submit(
            [&never]() -> plait::task<> { co_await plait::gather(pair_waits_for(never), waits_for(never)); });
        f.cancel();
        p.shutdown();
        try {
            f.get();
            check(false, "it has ended by itself");
        } catch (const plait::cancelled&) {}
    });
}

TEST(Model, Join_ARaceHasAWinner) {
    explored_at_random("join: a race of two, one of which waits for the other", [] {
        run_on_pool([]() -> plait::task<> {
            plait::async_event e;
            co_await plait::race(waits_for(e), sets(e));
        });
    });
}

} // namespace
