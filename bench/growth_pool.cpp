// SPDX-License-Identifier: Apache-2.0
// rows: growth, scaling, growth: empty tasks, growth: futures, growth: idle trip
// link: tbb
//
// How the cost of a task grows: with the number of tasks, on two threads, and with the number of threads, whether there
// are as many cores or not. Pools are made before; the ends of plait's, Asio's and the mutex pool are part of the empty
// tasks' time, since plait's way and Asio's to wait for all that was posted is to end the pool. oneTBB's threads go on.
#include "growth.hpp"
#include "work/futures.hpp"
#include "work/posts.hpp"
#include "work/python_pool.hpp"
#include "work/trips.hpp"

#include <tbb/global_control.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr const char* mutex_name = "mutex and condition variable";

std::string tasks_of(int n) { return std::to_string(n) + " tasks, "; }

/// `workers` threads beside the one that calls.
struct tbb_threads {
    explicit tbb_threads(int workers)
        : limit{tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(workers) + 1},
          arena{workers + 1, 1} {
        arena.initialize();
    }
    tbb::global_control limit;
    tbb::task_arena arena;
};

template <class Pool, class Workers>
double posts(Workers workers, int tasks) {
    std::optional<Pool> pool{std::in_place, std::move(workers)};
    return bench::nanoseconds_each(tasks, [&] {
        work::post_all(*pool, tasks);
        pool.reset();
    });
}

void empty_tasks(int workers, int tasks) {
    tbb_threads tbb{workers};
    const auto threads = static_cast<unsigned>(workers);
    bench::grow(
        "empty tasks, " + tasks_of(tasks) + bench::of_workers(workers), "ns",
        {{"plait",
          [&] { return posts<plait::thread_pool>(plait::thread_pool_options{.workers = workers}, tasks); }},
         {mutex_name, [&] { return posts<rivals::mutex_pool>(threads, tasks); }},
         {"Asio", [&] { return posts<boost::asio::thread_pool>(threads, tasks); }},
         {"oneTBB",
          [&] { return bench::nanoseconds_each(tasks, [&] { work::post_all(tbb.arena, tasks); }); }}});
}

void futures(int workers, int tasks) {
    plait::thread_pool pool{{.workers = workers}};
    rivals::mutex_pool mutex{static_cast<unsigned>(workers)};
    boost::asio::thread_pool asio{static_cast<unsigned>(workers)};
    const auto all_of = [tasks](auto& its) {
        return
            [&its, tasks] { return bench::nanoseconds_each(tasks, [&] { work::submit_all(its, tasks); }); };
    };
    std::vector<bench::contender> all{
        {"plait", all_of(pool)}, {mutex_name, all_of(mutex)}, {"Asio", all_of(asio)}};
    // A thread for each task takes too long for more.
    if (tasks <= 10'000)
        all.push_back({"std::async", [tasks] {
                           return bench::nanoseconds_each(tasks, [tasks] { work::async_all(tasks); });
                       }});
    // In as many seconds as the others take milliseconds.
    if (tasks <= 100'000)
        all.push_back(
            {"Python threads", [workers, tasks] { return work::measure_python({workers, tasks, 0}).first; }});
    bench::grow("futures, " + tasks_of(tasks) + bench::of_workers(workers), "ns", std::move(all));
}

void idle_trip(int workers) {
    plait::thread_pool pool{{.workers = workers}};
    rivals::mutex_pool mutex{static_cast<unsigned>(workers)};
    boost::asio::thread_pool asio{static_cast<unsigned>(workers)};
    tbb_threads tbb{workers};
    std::vector<work::trip> all{{"plait", [&] { work::submit(pool).get(); }},
                                {mutex_name, [&] { work::submit(mutex).get(); }},
                                {"Asio", [&] { work::submit(asio).get(); }},
                                {"std::async", [] { work::async_all(1); }}};
    work::measure_trips(all, 3, 200);
    // Then all over again for oneTBB: its workers look for more for a while after a trip, and make everybody's longer.
    std::vector<work::trip> again = all;
    again.push_back({"oneTBB", [&] { work::submit(tbb.arena).get(); }});
    work::measure_trips(again, 3, 100);
    all.push_back(again.back());
    std::vector<bench::peer> peers = work::of_peers(all, &work::trip::median);
    peers.emplace_back("Python threads", work::measure_python({workers, 1000, 300}).second);
    bench::print("growth: idle trip, " + bench::of_workers(workers), "ns", all[0].median, peers);
}

} // namespace

int main() {
    constexpr const char* name = "growth_pool";
    if (bench::grows("empty tasks", name) || bench::wanted("scaling", name)) {
        for (const int tasks : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) empty_tasks(2, tasks);
        for (const int workers : {1, 4, 8}) empty_tasks(workers, 1'000'000);
    }
    if (bench::grows("futures", name)) {
        for (const int tasks : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) futures(2, tasks);
        for (const int workers : {1, 4, 8}) futures(workers, 1'000'000);
    }
    if (bench::grows("idle trip", name))
        for (const int workers : {1, 2, 4, 8}) idle_trip(workers);
}
