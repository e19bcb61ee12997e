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

/// All points; but sending is tried again for some seconds before it is given up, so that fails for ever only once, in
/// AKernelThatTakesNoHandles...
void swept_here(const char* name, const std::function<void()>& scenario,
                std::uint64_t most_at_a_point = 400) {
    plait::testing::sweep_options refusals{.most_at_a_point = most_at_a_point};
    for (std::size_t i = 0; i < plait::testing::fault_points; ++i)
        if (const auto p = static_cast<fault_point>(i); p != fault_point::send) refusals.points.push_back(p);
    swept(name, scenario, refusals);
    const plait::testing::sweep_result sends =
        plait::testing::sweep(scenario, {.points = {fault_point::send}, .lasting = false});
    std::printf("faults: %s\n", sends.summary(name).c_str());
    for (const std::string& each : sends.faults) ADD_FAILURE() << name << ": " << each;
}

TEST_F(Fault, ProcessPool) {
    swept_here("process_pool", [] {
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(twice, 21).get() == 42, "submit");
        int sum = 0;
        for (const int x : pool.map(twice, numbers)) sum += x;
        promised(sum == 72, "map");
    });
}

// Where memory stays short, a worker's start is tried five times, with pauses: such runs take half a second each.
constexpr std::uint64_t few = 6;

TEST_F(Fault, Deaths) {
    swept_here(
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
        few);
}

TEST_F(Fault, Ends) {
    swept_here(
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
        few);
}

TEST_F(Fault, LargeValues) {
    swept_here("process_pool, a large value", [] {
        plait::process_pool pool{{.workers = 1}};
        const std::vector<int> large(400'000, 7);
        const auto size = [](const std::vector<int>& v) { return v.size(); };
        promised(pool.submit(size, large).get() == large.size(), "a large argument");
    });
}

TEST_F(Fault, SharedArray) {
    swept_here("shared_array", [] {
        plait::shared_array<double> a{1000};
        a[7] = 42;
        plait::process_pool pool{{.workers = 1}};
        promised(pool.submit(sum_of, plait::shared_array<const double>{a}).get() == 42, "a shared array");
    });
}

TEST_F(Fault, PipeAndProcess) {
    swept_here("pipe, process", [] {
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
    swept_here("process_channel", [] {
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
    swept_here("any_executor", [] {
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
    swept_here("process_event, process_semaphore, process_barrier", [] {
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
    swept_here("team on a loop", [] {
        plait::event_loop loop;
        const std::vector<int> all = plait::team(loop, 2, ring);
        promised(all.size() == 2 && all[0] == 1 && all[1] == 1, "team");
    });
}

} // namespace
