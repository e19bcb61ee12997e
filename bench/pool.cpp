// SPDX-License-Identifier: Apache-2.0
// rows: empty tasks, empty tasks with futures, idle submit to get, idle submit to get p99, idle pool
// link: tbb
//
// What does a task cost a pool of two threads? Rounds of all pools take turns, and each one's best round
// counts: on a busy machine the least disturbed one. `idle submit to get` is the median trip of a round to a pool
// that sleeps, beside a bare futex round trip, its p99 the 99th of a hundred, of all rounds; `idle pool` is what
// two sleeping pools cost in five seconds.
#include "sys/futex.hpp"
#include "turns.hpp"
#include "work/futures.hpp"
#include "work/posts.hpp"
#include "work/python_pool.hpp"
#include "work/trips.hpp"

#include <plait/detail/atomic.hpp>
#include <plait/thread_pool.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>

namespace {

constexpr unsigned workers = 2;
constexpr int tasks = 1'000'000;
constexpr int rounds = 5;
constexpr int trips = 3000; // thirty of them beyond the p99

// Two threads that wake each other through two words, and nothing else: what a trip cannot be quicker than.
class futex_pair {
  public:
    futex_pair() : thread_{[this] { answer(); }} {}
    futex_pair(const futex_pair&) = delete;
    futex_pair& operator=(const futex_pair&) = delete;
    ~futex_pair() {
        tell(there_, last);
        thread_.join();
    }
    void trip() {
        tell(there_, ++trips_);
        wait_while(back_, trips_ - 1);
    }

  private:
    using word = plait::detail::atomic<std::uint32_t>;
    static constexpr std::uint32_t last = ~0U;

    static void tell(word& w, std::uint32_t value) {
        w.store(value, plait::detail::order::release);
        plait::detail::futex_wake(w.address());
    }
    static std::uint32_t wait_while(word& w, std::uint32_t value) {
        for (;;) {
            const std::uint32_t now = w.load(plait::detail::order::acquire);
            if (now != value) return now;
            plait::detail::futex_wait(w.address(), value);
        }
    }
    void answer() {
        for (std::uint32_t seen = 0; (seen = wait_while(there_, seen)) != last;) tell(back_, seen);
    }

    word there_{0};
    word back_{0};
    std::uint32_t trips_ = 0;
    std::thread thread_;
};

// Percent of a processor that a pool of this process takes while it has nothing to do.
double idle_share() {
    constexpr auto time = std::chrono::seconds{5};
    plait::thread_pool one{{.workers = workers}};
    plait::thread_pool other{{.workers = workers}};
    for (int i = 0; i < 1000; ++i) one.submit([] {}).get();
    rusage before{};
    rusage after{};
    ::getrusage(RUSAGE_SELF, &before);
    std::this_thread::sleep_for(time);
    ::getrusage(RUSAGE_SELF, &after);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    const double busy = seconds(after.ru_utime) + seconds(after.ru_stime) - seconds(before.ru_utime) -
                        seconds(before.ru_stime);
    return busy / std::chrono::duration<double>(time).count() * 100;
}

} // namespace

int main() {
    constexpr const char* name = "pool";
    constexpr const char* mutex_name = "mutex and condition variable";
    const auto wanted = [](const char* row) { return bench::wanted(row, name); };
    const bench::turns turns{.least = rounds, .most = rounds};
    plait::thread_pool pool{{.workers = workers}};
    rivals::mutex_pool mutex_pool{workers};
    boost::asio::thread_pool asio{workers};
    tbb::task_arena arena{workers + 1, 1};
    arena.initialize();

    if (wanted("empty tasks")) {
        const auto each = [](auto run) { return [run] { return bench::nanoseconds_each(tasks, run); }; };
        std::vector<bench::contender> all{{"plait", each([] {
                                               plait::thread_pool mine{{.workers = workers}};
                                               work::post_all(mine, tasks);
                                           })},
                                          {mutex_name, each([&] { work::post_all(mutex_pool, tasks); })},
                                          {"Asio", each([] {
                                               boost::asio::thread_pool its{workers};
                                               work::post_all(its, tasks);
                                           })},
                                          {"oneTBB", each([&] { work::post_all(arena, tasks); })}};
        bench::take(turns, all);
        bench::print("empty tasks", "ns", bench::best(all[0]), bench::peers_of(all), {.reach = 4});
    }
    const auto of_python = wanted("empty tasks with futures") || wanted("idle submit to get")
                               ? work::measure_python({})
                               : std::pair{0.0, 0.0};
    if (wanted("empty tasks with futures")) {
        const auto each = [](auto& its) {
            return
                [&its] { return bench::nanoseconds_each(tasks, [&its] { work::submit_all(its, tasks); }); };
        };
        std::vector<bench::contender> all{
            {"plait", each(pool)}, {mutex_name, each(mutex_pool)}, {"Asio", each(asio)}};
        bench::take(turns, all);
        std::vector<bench::peer> peers = bench::peers_of(all);
        // A thread each: a hundredth of the tasks is enough to see it.
        peers.emplace_back("std::async",
                           bench::nanoseconds_each(tasks / 100.0, [] { work::async_all(tasks / 100); }));
        peers.emplace_back("Python threads", of_python.first);
        bench::print("empty tasks with futures", "ns", bench::best(all[0]), peers, {.reach = 12});
    }
    if (wanted("idle submit to get") || wanted("idle submit to get p99")) {
        futex_pair futexes;
        std::vector<work::trip> all{{"plait", [&] { work::submit(pool).get(); }},
                                    {"a futex round trip", [&] { futexes.trip(); }},
                                    {mutex_name, [&] { work::submit(mutex_pool).get(); }},
                                    {"Asio", [&] { work::submit(asio).get(); }},
                                    {"std::async", [] { work::async_all(1); }}};
        // Of this arena oneTBB makes one worker on two processors. Two would look for more for a while after each trip,
        // and make everybody's longer (growth_pool.cpp).
        all.push_back({"oneTBB", [&] { work::submit(arena).get(); }});
        work::measure_trips(all, rounds, trips / rounds);
        if (wanted("idle submit to get")) {
            std::vector<bench::peer> peers = work::of_peers(all, &work::trip::median);
            peers.emplace_back("Python threads", of_python.second);
            bench::print("idle submit to get", "ns", all[0].median, peers, {.reach = 1 / 1.2});
        }
        std::erase_if(all, [](const work::trip& t) { return t.name == "a futex round trip"; });
        if (wanted("idle submit to get p99"))
            bench::print("idle submit to get p99", "ns", all[0].late, work::of_peers(all, &work::trip::late),
                         {.reach = 1});
    }
    if (wanted("idle pool")) {
        // The clock of the kernel's accounts has no finer grain than this; nothing at all cannot be a ratio.
        const double share = std::max(idle_share(), 0.0001);
        bench::print("idle pool", "% of a core", share, {{"the limit", 0.1}}, {.reach = 1, .digits = 4});
    }
}
