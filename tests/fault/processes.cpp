// SPDX-License-Identifier: Apache-2.0
// limit: 600
// Calls of the program's that can fail, failed, where it has processes: pools and what stands between. Not yet its
// allocations: the supervisor waits for ever if one of its own is refused at certain moments.
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
    .points = {fault_point::thread_start, fault_point::process_start, fault_point::process_watch,
               fault_point::process_wait, fault_point::epoll_create, fault_point::epoll_control,
               fault_point::event_create, fault_point::memory_file, fault_point::memory_map,
               fault_point::memory_size, fault_point::copy, fault_point::socket_create,
               fault_point::socket_setup, fault_point::look, fault_point::receive, fault_point::file_open,
               fault_point::file_read, fault_point::file_write, fault_point::interruption}};

/// Sending is tried again for some seconds before it is given up: for ever only once, below.
const plait::testing::sweep_options sends{.points = {fault_point::send}, .lasting = false};

void swept_with_sends(const char* name, const std::function<void()>& scenario) {
    swept(name, scenario, refusals);
    swept(name, scenario, sends);
}

const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};

int twice(int x) { return 2 * x; }
double sum_of(const plait::shared_array<const double>& a) { return std::accumulate(a.begin(), a.end(), 0.0); }
void answer(plait::pipe<int, int> there) {
    while (const auto x = there.receive_blocking()) there.send_blocking(*x + 1);
}

TEST_F(Fault, ProcessPool) {
    swept_with_sends("process_pool", [] {
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(twice, 21).get() == 42, "submit");
        int sum = 0;
        for (const int x : pool.map(twice, numbers)) sum += x;
        promised(sum == 72, "map");
    });
}

TEST_F(Fault, LargeValues) {
    swept_with_sends("process_pool, a large value", [] {
        plait::process_pool pool{{.workers = 1}};
        const std::vector<int> large(400'000, 7);
        const auto size = [](const std::vector<int>& v) { return v.size(); };
        promised(pool.submit(size, large).get() == large.size(), "a large argument");
    });
}

TEST_F(Fault, SharedArray) {
    swept_with_sends("shared_array", [] {
        plait::shared_array<double> a{1000};
        a[7] = 42;
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(sum_of, plait::shared_array<const double>{a}).get() == 42, "a shared array");
    });
}

TEST_F(Fault, PipeAndProcess) {
    swept_with_sends("pipe, process", [] {
        auto [here, there] = plait::pipe<int, int>::pair();
        plait::process p{answer, std::move(there)};
        here.send_blocking(1);
        const auto answer = here.receive_blocking();
        if (!answer) throw std::runtime_error{"the other process has not come to be"};
        promised(*answer == 2, "the answer");
        here.close();
        p.join();
    });
}

TEST_F(Fault, ProcessChannel) {
    swept_with_sends("process_channel", [] {
        plait::process_channel<int> c{8};
        for (const int x : numbers) c.send_blocking(x);
        c.close();
        int sum = 0;
        while (const auto x = c.receive_blocking()) sum += *x;
        promised(sum == 36, "an item was lost");
    });
}

TEST_F(Fault, AnyExecutor) {
    swept_with_sends("any_executor", [] {
        auto ex = plait::any_executor::make("processes", {.workers = 1});
        promised(ex.submit(twice, 21).get() == 42, "submit");
    });
}

TEST_F(Fault, AKernelThatTakesNoHandlesIsNotWaitedForForEver) {
    plait::process_pool pool{{.workers = 1}};
    plait::shared_array<double> a{1000};
    a[7] = 42;
    const plait::shared_array<const double> view{a};
    ASSERT_EQ(pool.submit(sum_of, view).get(), 42);
    {
        const plait::testing::fault_injection none{fault_point::send, 1, true};
        auto f = pool.submit(sum_of, view);
        EXPECT_THROW(f.get(), plait::worker_lost);
    }
    EXPECT_EQ(pool.submit(sum_of, view).get(), 42) << "another worker";
}

void hold(const plait::process_semaphore& s, const plait::process_event& e, const plait::process_barrier& b) {
    const auto mine = s.acquire_blocking();
    b.arrive_and_wait_blocking();
    e.set();
}

TEST_F(Fault, ProcessSync) {
    swept_with_sends("process_event, process_semaphore, process_barrier", [] {
        const plait::process_semaphore s{1};
        const plait::process_event e;
        plait::process_pool pool{{.workers = 1}};
        {
            auto parties = plait::process_barrier::make(2);
            auto other = pool.submit(hold, s, e, std::move(parties[1]));
            parties[1] = {};
            parties[0].arrive_and_wait_blocking();
            other.get();
        }
        promised(e.wait_blocking_for(std::chrono::seconds{5}), "the event");
        promised(static_cast<bool>(s.try_acquire()), "a permit was lost");
    });
}

plait::task<int> ring(plait::team_member& me) {
    const std::size_t next = (me.rank() + 1) % me.size();
    co_await me.send(next, static_cast<int>(me.rank()));
    const int got = co_await me.receive<int>(next);
    co_return co_await me.all_reduce(got, [](int a, int b) { return a + b; });
}

TEST_F(Fault, Team) {
    swept_with_sends("team on a loop", [] {
        plait::event_loop loop;
        const std::vector<int> all = plait::team(loop, 2, ring);
        promised(all.size() == 2 && all[0] == 1 && all[1] == 1, "team");
    });
}

} // namespace
