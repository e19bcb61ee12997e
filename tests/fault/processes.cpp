// SPDX-License-Identifier: Apache-2.0
// limit: 600
// Calls of the program's that can fail, failed, where it has processes: pools and what stands between. Not yet its
// allocations: the supervisor waits for ever if one of its own is refused at certain moments; nor what comes through a
// socket that it has made itself.
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

#include <numeric>
#include <vector>

namespace {

using plait::testing::fault_point;

const plait::testing::sweep_options refusals{
    .points = {fault_point::thread_start, fault_point::process_start, fault_point::epoll_create,
               fault_point::epoll_control, fault_point::event_create, fault_point::memory_file,
               fault_point::memory_map, fault_point::socket_create, fault_point::socket_setup}};

const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};

int twice(int x) { return 2 * x; }
double sum_of(const plait::shared_array<const double>& a) { return std::accumulate(a.begin(), a.end(), 0.0); }
void answer(plait::pipe<int, int> there) {
    while (const auto x = there.receive_blocking()) there.send_blocking(*x + 1);
}

TEST_F(Fault, ProcessPool) {
    swept(
        "process_pool",
        [] {
            plait::process_pool pool{{.workers = 1}};
            promised(pool.submit(twice, 21).get() == 42, "submit");
            int sum = 0;
            for (const int x : pool.map(twice, numbers)) sum += x;
            promised(sum == 72, "map");
        },
        refusals);
}

TEST_F(Fault, LargeValues) {
    swept(
        "process_pool, a large value",
        [] {
            plait::process_pool pool{{.workers = 1}};
            const std::vector<int> large(400'000, 7);
            const auto size = [](const std::vector<int>& v) { return v.size(); };
            promised(pool.submit(size, large).get() == large.size(), "a large argument");
        },
        refusals);
}

TEST_F(Fault, SharedArray) {
    swept(
        "shared_array",
        [] {
            plait::shared_array<double> a{1000};
            a[7] = 42;
            plait::process_pool pool{{.workers = 1}};
            promised(pool.submit(sum_of, plait::shared_array<const double>{a}).get() == 42, "a shared array");
        },
        refusals);
}

TEST_F(Fault, PipeAndProcess) {
    swept(
        "pipe, process",
        [] {
            auto [here, there] = plait::pipe<int, int>::pair();
            plait::process p{answer, std::move(there)};
            here.send_blocking(1);
            promised(here.receive_blocking() == 2, "the answer");
            here.close();
            p.join();
        },
        refusals);
}

TEST_F(Fault, ProcessChannel) {
    swept(
        "process_channel",
        [] {
            plait::process_channel<int> c{8};
            for (const int x : numbers) c.send_blocking(x);
            c.close();
            int sum = 0;
            while (const auto x = c.receive_blocking()) sum += *x;
            promised(sum == 36, "an item was lost");
        },
        refusals);
}

TEST_F(Fault, AnyExecutor) {
    swept(
        "any_executor",
        [] {
            auto ex = plait::any_executor::make("processes", {.workers = 1});
            promised(ex.submit(twice, 21).get() == 42, "submit");
        },
        refusals);
}

plait::task<int> ring(plait::team_member& me) {
    const std::size_t next = (me.rank() + 1) % me.size();
    co_await me.send(next, static_cast<int>(me.rank()));
    const int got = co_await me.receive<int>(next);
    co_return co_await me.all_reduce(got, [](int a, int b) { return a + b; });
}

TEST_F(Fault, Team) {
    swept(
        "team on a loop",
        [] {
            plait::event_loop loop;
            const std::vector<int> all = plait::team(loop, 2, ring);
            promised(all.size() == 2 && all[0] == 1 && all[1] == 1, "team");
        },
        refusals);
}

} // namespace
