// SPDX-License-Identifier: Apache-2.0
// limit: 600
// Every call of the program's that can fail, failed, where it has processes: pools and what stands between.
#include "sweep.hpp"

#include <plait/any_executor.hpp>
#include <plait/event_loop.hpp>
#include <plait/pipe.hpp>
#include <plait/process.hpp>
#include <plait/process_channel.hpp>
#include <plait/process_pool.hpp>
#include <plait/process_sync.hpp>
#include <plait/shared_array.hpp>
#include <plait/team.hpp>

#include <chrono>
#include <csignal>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <unistd.h>

namespace {

using plait::testing::fault_point;

const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};

int twice(int x) { return 2 * x; }
void die() { ::kill(::getpid(), SIGKILL); }
void hold_on() {
    for (;;) ::pause();
}
double sum_of(const plait::shared_array<const double>& a) { return std::accumulate(a.begin(), a.end(), 0.0); }
void answer(plait::pipe<int, int> there) {
    while (const auto x = there.receive_blocking()) there.send_blocking(*x + 1);
}

TEST_F(Fault, ProcessPool) {
    swept("process_pool", [] {
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(twice, 21).get() == 42, "submit");
        int sum = 0;
        for (const int x : pool.map(twice, numbers)) sum += x;
        promised(sum == 72, "map");
    });
}

// Where memory stays short, a worker's start is tried five times, with pauses: such runs take half a second each.
const plait::testing::sweep_options spread{.most_at_a_point = 6};

TEST_F(Fault, Deaths) {
    swept(
        "process_pool, deaths",
        [] {
            plait::process_pool pool{{.workers = 1}};
            auto lost = pool.submit({.retries = 1}, die);
            auto after = pool.submit(twice, 21);
            try {
                lost.get();
                promised(false, "a death that nobody hears of");
            } catch (
                const plait::worker_lost&) { // or there was no memory for saying so: that is an end as well
            }
            promised(after.get() == 42, "the task behind it");
        },
        spread);
}

TEST_F(Fault, Ends) {
    swept(
        "process_pool, ends",
        [] {
            plait::process_pool pool{{.workers = 1, .max_tasks_per_worker = 3}};
            std::vector<plait::future<int>> some;
            for (const int x : numbers) some.push_back(pool.submit(twice, x));
            int sum = 0;
            for (auto& f : some) sum += f.get();
            promised(sum == 72, "tasks of several workers");
            auto late = pool.submit({.timeout = std::chrono::milliseconds{1}}, hold_on);
            auto unbegun = pool.submit(twice, 1);
            promised(!late.get_outcome().has_value(), "a time-out");
            pool.shutdown({.kill = true});
            static_cast<void>(unbegun.get_outcome());
        },
        spread);
}

TEST_F(Fault, LargeValues) {
    swept("process_pool, a large value", [] {
        plait::process_pool pool{{.workers = 1}};
        const std::vector<int> large(400'000, 7);
        const auto size = [](const std::vector<int>& v) { return v.size(); };
        promised(pool.submit(size, large).get() == large.size(), "a large argument");
    });
}

TEST_F(Fault, SharedArray) {
    swept("shared_array", [] {
        plait::shared_array<double> a{1000};
        a[7] = 42;
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(sum_of, plait::shared_array<const double>{a}).get() == 42, "a shared array");
    });
}

TEST_F(Fault, PipeAndProcess) {
    swept("pipe, process", [] {
        auto [here, there] = plait::pipe<int, int>::pair();
        plait::process p{answer, std::move(there)};
        here.send_blocking(1);
        const auto got = here.receive_blocking();
        if (!got) throw std::runtime_error{"the other end is gone"}; // as a reset says
        promised(*got == 2, "the answer");
        here.close();
        p.join();
    });
}

TEST_F(Fault, ProcessChannel) {
    swept("process_channel", [] {
        plait::process_channel<int> c{8};
        for (const int x : numbers) c.send_blocking(x);
        c.close();
        int sum = 0;
        while (const auto x = c.receive_blocking()) sum += *x;
        if (sum < 36) throw std::runtime_error{"the channel has ended before its end"}; // as a reset says
        promised(sum == 36, "an item came twice");
    });
}

TEST_F(Fault, AnyExecutor) {
    swept("any_executor", [] {
        auto ex = plait::any_executor::make("processes", {.workers = 1});
        promised(ex.submit(twice, 21).get() == 42, "submit");
    });
}

plait::task<int> ring(plait::team_member& me) {
    const std::size_t next = (me.rank() + 1) % me.size();
    co_await me.send(next, static_cast<int>(me.rank()));
    const int got = co_await me.receive<int>(next);
    co_return co_await me.all_reduce(got, [](int a, int b) { return a + b; });
}

TEST_F(Fault, Team) {
    // But for what it receives and sends: that a member's end of a socket is reset while both live in this process cannot be.
    swept("team on a loop",
          [] {
              plait::event_loop loop;
              const std::vector<int> all = plait::team(loop, 2, ring);
              promised(all.size() == 2 && all[0] == 1 && all[1] == 1, "team");
          },
          {.points = {fault_point::allocation, fault_point::thread_start, fault_point::epoll_create,
                      fault_point::epoll_control, fault_point::event_create, fault_point::socket_create,
                      fault_point::socket_setup}});
}

} // namespace
