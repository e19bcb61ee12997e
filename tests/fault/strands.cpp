// SPDX-License-Identifier: Apache-2.0
// limit: 300
// Every call that can fail, failed, in every public operation of the strands: nothing leaks, nothing hangs, and what was
// refused can be tried again.
#include "sweep.hpp"

#include <plait/async_mutex.hpp>
#include <plait/async_semaphore.hpp>
#include <plait/channel.hpp>
#include <plait/graph.hpp>
#include <plait/io.hpp>
#include <plait/offload.hpp>
#include <plait/parallel.hpp>
#include <plait/plait.hpp>
#include <plait/resume_on.hpp>
#include <plait/wait.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};

template <class Executor>
void submits_and_maps(Executor& ex) {
    auto one = ex.submit([](int x) { return x + 1; }, 41);
    promised(one.get() == 42, "submit");
    int sum = 0;
    for (const int x : ex.map([](int i) { return i * i; }, numbers)) sum += x;
    promised(sum == 204, "map");
}

TEST_F(Fault, Serial) {
    swept("serial", [] {
        plait::serial ex;
        submits_and_maps(ex);
    });
}

TEST_F(Fault, ThreadPool) {
    swept("thread_pool", [] {
        plait::thread_pool ex{{.workers = 2}};
        submits_and_maps(ex);
    });
}

TEST_F(Fault, ThreadPoolPosts) {
    swept("thread_pool::post", [] {
        std::atomic<int> ran{0};
        int posted = 0;
        {
            plait::thread_pool ex{{.workers = 2}};
            for (int i = 0; i < 20; ++i) {
                ex.post([&ran] { ++ran; });
                ++posted;
            }
        }
        promised(ran == posted, "a posted function was lost");
    });
}

TEST_F(Fault, EventLoop) {
    swept("event_loop", [] {
        plait::event_loop loop;
        submits_and_maps(loop);
    });
}

plait::task<int> slowly(int x) {
    co_await plait::sleep_for(100us);
    co_return x;
}

TEST_F(Fault, Coroutines) {
    swept("run, gather, timeout", [] {
        const auto main = []() -> plait::task<int> {
            auto [a, b] = co_await plait::gather(slowly(1), slowly(2));
            const int c = co_await plait::timeout(1h, slowly(3));
            co_return a + b + c;
        };
        promised(plait::run(main()) == 6, "run");
    });
}

TEST_F(Fault, Groups) {
    swept("with_group", [] {
        const auto main = []() -> plait::task<int> {
            int sum = 0;
            const auto body = [&sum](plait::task_group& g) -> plait::task<> {
                for (int i = 1; i <= 3; ++i) {
                    auto child = [](int& s, int n) -> plait::task<> { s += co_await slowly(n); };
                    g.spawn(child(sum, i));
                }
                co_return;
            };
            co_await plait::with_group(body);
            co_return sum;
        };
        promised(plait::run(main()) == 6, "with_group");
    });
}

TEST_F(Fault, LoopPool) {
    swept("loop_pool", [] {
        plait::loop_pool ex{{.workers = 2}};
        submits_and_maps(ex);
    });
}

TEST_F(Fault, Offload) {
    swept("offload", [] {
        const auto main = []() -> plait::task<int> { co_return co_await plait::offload([] { return 7; }); };
        promised(plait::run(main()) == 7, "offload");
    });
}

TEST_F(Fault, Channels) {
    swept("channel", [] {
        plait::channel<int> c{2};
        plait::thread_pool ex{{.workers = 1}};
        auto sum = ex.submit([&c] {
            int total = 0;
            while (const auto x = c.receive_blocking()) total += *x;
            return total;
        });
        for (const int x : numbers) c.send_blocking(x);
        c.close();
        promised(sum.get() == 36, "channel");
    });
}

TEST_F(Fault, Parallel) {
    swept("for_each, reduce, transform_reduce, inclusive_scan, sort, invoke", [] {
        plait::thread_pool ex{{.workers = 2}};
        std::vector<int> v(3000);
        std::iota(v.begin(), v.end(), 0);
        plait::for_each(ex, v, [](int& x) { x = 2999 - x; });
        promised(plait::reduce(ex, v, 0) == 2999 * 3000 / 2, "reduce");
        const auto half = [](int x) { return x / 2; };
        promised(plait::transform_reduce(ex, v, 0, std::plus<>{}, half) == 1499 * 1500, "transform_reduce");
        plait::sort(ex, v);
        promised(std::is_sorted(v.begin(), v.end()), "sort");
        std::vector<int> sums(v.size());
        plait::inclusive_scan(ex, v, sums);
        promised(sums.back() == 2999 * 3000 / 2, "inclusive_scan");
        int one = 0;
        int two = 0;
        plait::invoke(ex, [&one] { one = 1; }, [&two] { two = 2; });
        promised(one + two == 3, "invoke");
    });
}

TEST_F(Fault, Graph) {
    swept("graph", [] {
        plait::thread_pool ex{{.workers = 2}};
        plait::graph g;
        std::atomic<int> n{0};
        auto a = g.add([&n] { ++n; });
        auto b = g.after(a, [&n] { ++n; });
        g.after(b, [&n] { ++n; });
        g.run(ex);
        promised(n == 3, "graph");
    });
}

plait::task<> echo_once(plait::io::listener& door) {
    plait::io::socket s = co_await door.accept();
    std::array<std::byte, 4> data{};
    const std::size_t n = co_await s.read(data);
    co_await s.write(std::span{data}.first(n));
}

plait::task<bool> ask(std::uint16_t port) {
    plait::io::socket s = co_await plait::io::connect("127.0.0.1", port);
    const std::array<std::byte, 4> question{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    co_await s.write(question);
    std::array<std::byte, 4> answer{};
    const std::size_t n = co_await s.read(answer);
    co_return n == 4 && answer == question;
}

plait::task<> echoed() {
    plait::io::listener door = plait::io::listen("127.0.0.1", 0);
    auto [none, same] = co_await plait::gather(echo_once(door), ask(door.local_port()));
    static_cast<void>(none);
    promised(same, "echo");
}

TEST_F(Fault, Sockets) {
    swept("io: listen, accept, connect, read, write", [] {
        // A listener without descriptors waits for some: not for ever.
        const auto main = []() -> plait::task<> { co_await plait::timeout(300ms, echoed()); };
        plait::run(main());
    });
}

TEST_F(Fault, WaitsAndTheirOrder) {
    swept("wait, as_completed, map_unordered, map_outcomes", [] {
        plait::thread_pool ex{{.workers = 2}};
        std::vector<plait::future<int>> all;
        for (int i = 0; i < 4; ++i) all.push_back(ex.submit([i] { return i; }));
        promised(plait::wait(all).done.size() == 4, "wait");
        int sum = 0;
        for (auto&& f : plait::as_completed(std::move(all))) sum += f.get();
        for (const int x : ex.map_unordered([](int i) { return i; }, numbers)) sum += x;
        for (auto&& o : ex.map_outcomes([](int i) { return i; }, numbers)) sum += o.value();
        promised(sum == 6 + 36 + 36, "a result was lost");
    });
}

TEST_F(Fault, GroupsOfThreads) {
    swept("task_group, gather on a pool, race, resume_on", [] {
        plait::thread_pool ex{{.workers = 2}};
        std::atomic<int> n{0};
        {
            plait::task_group g{ex};
            for (int i = 0; i < 3; ++i) g.run([&n] { ++n; });
            g.wait();
        }
        const auto forks = [](plait::thread_pool& pool) -> plait::task<int> {
            auto [a, b] = co_await plait::gather(slowly(1), slowly(2));
            const int c = co_await plait::race(slowly(3), slowly(3));
            co_await plait::resume_on(pool);
            co_return a + b + c;
        };
        promised(ex.submit(forks, std::ref(ex)).get() == 6 && n == 3, "a child was lost");
    });
}

TEST_F(Fault, LocksForTasks) {
    swept("async_mutex, async_semaphore, worker_local", [] {
        plait::async_mutex m;
        plait::async_semaphore s{1};
        plait::worker_local<int> counts;
        const auto work = [&]() -> plait::task<> {
            const auto guard = co_await m.lock();
            const auto permit = co_await s.acquire();
            ++*counts;
        };
        plait::thread_pool ex{{.workers = 2}}; // ends before what its tasks use
        std::vector<plait::future<void>> all;
        for (int i = 0; i < 3; ++i) all.push_back(ex.submit(work));
        for (auto& f : all) f.get();
        promised(static_cast<bool>(m.try_lock()) && s.available() == 1, "a lock was lost");
    });
}

TEST_F(Fault, TimeLimits) {
    swept("submit with a time-out and a name", [] {
        plait::thread_pool ex{{.workers = 1}};
        auto f = ex.submit({.name = "timed", .timeout = 1h}, slowly, 5);
        promised(f.get() == 5, "submit");
    });
}

TEST_F(Fault, Files) {
    const std::string path =
        std::filesystem::temp_directory_path() / ("plait-fault-" + std::to_string(::getpid()));
    swept("io: files", [&path] {
        const auto main = [](std::string name) -> plait::task<> {
            const plait::io::open_options fresh{.write = true, .create = true};
            plait::io::file f = co_await plait::io::open(name, fresh);
            const std::array<std::byte, 4> data{};
            co_await f.write_at(data, 0);
            std::array<std::byte, 4> back{};
            const std::size_t n = co_await f.read_at(back, 0);
            promised(n == 4, "read");
        };
        plait::run(main(path));
    });
    ::unlink(path.c_str());
}

} // namespace
