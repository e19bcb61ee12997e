// SPDX-License-Identifier: Apache-2.0
// The locks for coroutines, and what a cancellation meets that comes from another thread.
#include "tasks.hpp"

#include <plait/async_event.hpp>
#include <plait/async_mutex.hpp>
#include <plait/async_semaphore.hpp>
#include <plait/cancelled.hpp>
#include <plait/future.hpp>

using plait::testing::check;
using plait::testing::thread;

namespace {

// Runs one coroutine on a worker of its own.
template <class Body>
auto on(model_worker& w, Body& body) {
    return [&w, &body] {
        model_task t = body();
        t.start(w);
        w.run(1);
    };
}

TEST(Model, AsyncMutex_ExcludesAndHandsOver) {
    explored_tasks("async_mutex: two tasks on two threads", [] {
        plait::async_mutex m;
        plait::testing::plain<int> n{0};
        const auto add = [&]() -> model_task {
            const auto guard = co_await m.lock();
            n = n + 1;
        };
        model_worker one;
        model_worker two;
        thread other{"other", on(one, add)};
        on(two, add)();
        other.join();
        check(n == 2);
        check(static_cast<bool>(m.try_lock()), "it stays locked");
    });
}

TEST(Model, AsyncMutex_ACancelledWaitPassesItOn) {
    explored_tasks("async_mutex: unlock against cancel", [] {
        plait::async_mutex m;
        bool got = false;
        const auto wait = [&]() -> model_task {
            try {
                const auto guard = co_await m.lock();
                got = true;
            } catch (const plait::cancelled&) {}
        };
        auto held = m.try_lock();
        waiting_task t{wait()};
        thread canceller{"canceller", [&] { t.scope().stop(); }};
        held.unlock();
        canceller.join();
        t.join();
        check(static_cast<bool>(m.try_lock()), "locked, and nobody has it");
    });
}

TEST(Model, AsyncSemaphore_APermitIsNeverLost) {
    explored_tasks("async_semaphore: release against cancel", [] {
        plait::async_semaphore s{0};
        bool got = false;
        const auto wait = [&]() -> model_task {
            try {
                auto permit = co_await s.acquire();
                permit.keep();
                got = true;
            } catch (const plait::cancelled&) {}
        };
        waiting_task t{wait()};
        thread canceller{"canceller", [&] { t.scope().stop(); }};
        s.release();
        canceller.join();
        t.join();
        check(s.available() == (got ? 0 : 1), "a permit was lost, or is there twice");
    });
}

TEST(Model, AsyncSemaphore_TwoTasksOnePermit) {
    explored_tasks("async_semaphore: two tasks, one permit", [] {
        plait::async_semaphore s{1};
        plait::testing::plain<int> n{0};
        const auto use = [&]() -> model_task {
            const auto permit = co_await s.acquire();
            n = n + 1;
        };
        model_worker one;
        model_worker two;
        thread other{"other", on(one, use)};
        on(two, use)();
        other.join();
        check(n == 2 && s.available() == 1);
    });
}

TEST(Model, AsyncEvent_WakesWhoWaitsAndWhoComes) {
    explored_tasks("async_event: set against wait", [] {
        plait::async_event e;
        payload data;
        const auto wait = [&]() -> model_task {
            co_await e.wait();
            check(data.value() == 7);
        };
        model_worker one;
        thread waiter{"waiter", on(one, wait)};
        data = payload{7};
        e.set();
        waiter.join();
    });
}

TEST(Model, Cancel_AgainstCompletion) {
    // A task awaits a future; one thread completes it, another stops the task's scope.
    explored_tasks("cancel against completion of a future", [] {
        plait::promise<payload> p;
        plait::future<payload> f = p.get_future();
        int ends = 0;
        const auto wait = [&]() -> model_task {
            try {
                const payload came = co_await std::move(f);
                check(came.value() == 7);
                ++ends;
            } catch (const plait::cancelled&) {
                ++ends;
            }
        };
        waiting_task t{wait()};
        thread canceller{"canceller", [&] { t.scope().stop(); }};
        p.set_value(payload{7});
        canceller.join();
        t.join();
        check(ends == 1, "it ended twice, or not at all");
        check(t.scope().stopped());
    });
}

TEST(Model, Cancel_TwoCancellers) {
    explored_tasks("two cancellers of a waiting task", [] {
        plait::async_event never;
        bool cancelled = false;
        const auto wait = [&]() -> model_task {
            try {
                co_await never.wait();
            } catch (const plait::cancelled&) {
                cancelled = true;
            }
        };
        waiting_task t{wait()};
        thread one{"one", [&] { t.scope().stop(); }};
        t.scope().stop();
        one.join();
        t.join();
        check(cancelled);
    });
}

} // namespace
