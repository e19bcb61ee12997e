// SPDX-License-Identifier: Apache-2.0
// limit: 300
// Every call that can fail, failed, in what tasks wait for: a wait that cannot be had leaves nothing behind, and nobody who
// waits is forgotten because of it.
#include "sweep.hpp"

#include <plait/async_barrier.hpp>
#include <plait/async_condition.hpp>
#include <plait/async_event.hpp>
#include <plait/async_latch.hpp>
#include <plait/async_mutex.hpp>
#include <plait/async_shared_mutex.hpp>
#include <plait/channel.hpp>
#include <plait/generator.hpp>
#include <plait/once.hpp>
#include <plait/pipeline.hpp>
#include <plait/plait.hpp>
#include <plait/select.hpp>
#include <plait/shield.hpp>

#include <array>
#include <chrono>
#include <span>
#include <stdexcept>
#include <vector>

using namespace std::chrono_literals;

namespace {

plait::task<int> slowly(int x) {
    co_await plait::yield();
    co_return x;
}

plait::task<> give(plait::channel<int>& c) {
    for (int i = 1; i <= 4; ++i) co_await c.send(i);
    std::array<int, 4> more{5, 6, 7, 8};
    for (std::span<int> left{more}; !left.empty();) {
        const std::size_t sent = co_await c.send_many(left);
        left = left.subspan(sent);
    }
    c.close();
}

plait::task<int> take(plait::channel<int>& c) {
    int sum = 0;
    for (int i = 0; i < 4; ++i) {
        const auto x = co_await c.receive();
        if (!x) co_return sum;
        sum += *x;
    }
    for (;;) {
        std::vector<int> some = co_await c.receive_many(3);
        if (some.empty()) co_return sum;
        for (const int x : some) sum += x;
    }
}

TEST_F(Fault, ChannelsOfTasks) {
    swept("channel: send, receive, send_many, receive_many", [] {
        const auto main = []() -> plait::task<int> {
            plait::channel<int> c{2};
            auto [none, sum] = co_await plait::gather(give(c), take(c));
            static_cast<void>(none);
            co_return sum;
        };
        promised(plait::run(main()) == 36, "an item was lost");
    });
}

TEST_F(Fault, Select) {
    swept("select", [] {
        const auto main = []() -> plait::task<int> {
            plait::channel<int> a{1};
            plait::channel<int> b{1};
            const auto feed = [](plait::channel<int>& to) -> plait::task<> {
                co_await plait::yield();
                co_await to.send(7);
            };
            const auto either = [](plait::channel<int>& x, plait::channel<int>& y) -> plait::task<int> {
                auto got = co_await plait::select(x.receive(), y.receive());
                co_return got.index() == 0 ? std::get<0>(got).value() : std::get<1>(got).value();
            };
            auto [none, got] = co_await plait::gather(feed(b), either(a, b));
            static_cast<void>(none);
            co_return got;
        };
        promised(plait::run(main()) == 7, "the item was lost");
    });
}

struct meeting {
    plait::async_event begun;
    plait::async_latch done{2};
    plait::async_barrier round{2};
    int lasts = 0;
};

plait::task<> attend(meeting& m) {
    co_await m.begun.wait();
    const bool last = co_await m.round.arrive_and_wait();
    if (last) ++m.lasts;
    m.done.count_down();
    co_await m.done.wait();
}

plait::task<> begin(meeting& m) {
    co_await plait::yield();
    m.begun.set();
}

TEST_F(Fault, Meetings) {
    swept("async_event, async_latch, async_barrier", [] {
        const auto main = []() -> plait::task<int> {
            meeting m;
            co_await plait::gather(attend(m), attend(m), begin(m));
            co_return m.lasts;
        };
        promised(plait::run(main()) == 1, "a round without its last");
    });
}

struct table {
    plait::async_mutex m;
    plait::async_condition changed;
    plait::async_shared_mutex content;
    plait::once opened;
    bool open = false;
    int reads = 0;
};

plait::task<> read(table& t) {
    co_await t.opened.call([&t] { t.reads = 0; });
    auto lock = co_await t.m.lock();
    co_await t.changed.wait(lock, [&t] { return t.open; });
    lock.unlock();
    const auto reading = co_await t.content.lock_shared();
    co_await plait::yield();
    ++t.reads;
}

plait::task<> write(table& t) {
    co_await plait::yield();
    {
        const auto writing = co_await t.content.lock();
        co_await plait::yield();
    }
    auto lock = co_await t.m.lock();
    t.open = true;
    t.changed.notify_all();
}

TEST_F(Fault, Tables) {
    swept("async_condition, async_shared_mutex, once", [] {
        const auto main = []() -> plait::task<int> {
            table t;
            co_await plait::gather(read(t), read(t), write(t));
            co_return t.reads;
        };
        promised(plait::run(main()) == 2, "a reader was forgotten");
    });
}

plait::generator<int> numbers(int n) {
    for (int i = 1; i <= n; ++i) co_yield i;
}

plait::async_generator<int> slow_numbers(int n) {
    for (int i = 1; i <= n; ++i) co_yield co_await slowly(i);
}

TEST_F(Fault, Generators) {
    swept("generator, async_generator, shield", [] {
        const auto main = []() -> plait::task<int> {
            int sum = 0;
            for (const int x : numbers(3)) sum += x;
            auto each = slow_numbers(3);
            while (const int* x = co_await each.next()) sum += *x;
            co_return sum + co_await plait::shield(slowly(30));
        };
        promised(plait::run(main()) == 42, "an item was lost");
    });
}

plait::task<int> piped(plait::thread_pool& pool) {
    int sum = 0;
    const auto add = [&sum](int x) { sum += x; };
    const auto half = [](int x) { return x / 2; };
    co_await plait::pipeline(slow_numbers(4))
        .via(pool, half)
        .via(pool, half, {.ordered = false})
        .into_async(add);
    co_return sum;
}

TEST_F(Fault, Pipelines) {
    swept("pipeline, by a thread and by a task", [] {
        plait::thread_pool pool{{.workers = 2}};
        int sum = 0;
        const auto add = [&sum](int x) { sum += x; };
        const auto half = [](int x) { return x / 2; };
        plait::pipeline(numbers(8)).via(pool, half).via(pool, half, {.ordered = false}).into(add);
        promised(sum == 6, "an item was lost");
        promised(plait::run(piped(pool)) == 1, "an item was lost on the way to the task");
    });
}

} // namespace
