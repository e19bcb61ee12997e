// SPDX-License-Identifier: Apache-2.0
// rows: empty tasks, empty tasks with futures, idle submit to get, idle submit to get p99, idle pool
// link: tbb
//
// What does a task cost a pool of two threads? Rounds of all pools take turns, and each one's best round
// counts: on a busy machine the least disturbed one. `idle submit to get` is the median trip of a round to a pool
// that sleeps, beside a bare futex round trip, its p99 the 99th of a hundred, of all rounds; `idle pool` is what
// two sleeping pools cost in five seconds.
#include "rivals/mutex_pool.hpp"
#include "sys/futex.hpp"

#include <plait/detail/atomic.hpp>
#include <plait/thread_pool.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <limits>
#include <numeric>
#include <random>
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

double nanoseconds_of(const std::function<void()>& run) {
    const auto begun = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begun).count();
}

struct contender {
    const char* name;
    std::function<void()> round;
    double best = std::numeric_limits<double>::max();
    double worst = 0; // but for one in a hundred
};

void print(const char* row, const std::vector<contender>& all,
           std::vector<std::pair<std::string, double>> others, double reach) {
    std::printf("{\"row\": \"%s\", \"unit\": \"ns\", \"plait\": %.1f, \"peers\": {", row, all[0].best);
    for (std::size_t i = 1; i < all.size(); ++i) others.emplace_back(all[i].name, all[i].best);
    for (std::size_t i = 0; i < others.size(); ++i)
        std::printf("%s\"%s\": %.1f", i ? ", " : "", others[i].first.c_str(), others[i].second);
    std::printf("}, \"better\": \"lower\", \"reach\": %.3g}\n", reach);
    std::fflush(stdout);
}

void measure(std::vector<contender>& all, double per) {
    for (int r = 0; r < rounds; ++r)
        for (contender& c : all) c.best = std::min(c.best, nanoseconds_of(c.round) / per);
}

// Median of trips to a pool that has been left alone for long enough to sleep. In another order each time: what one of
// them leaves behind in caches and in the kernel is not to be always the same one's burden.
void measure_trips(std::vector<contender>& all) {
    std::vector<std::vector<double>> times(all.size());
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random{4};
    constexpr int a_round = trips / rounds;
    for (int t = 1; t <= trips; ++t) {
        std::shuffle(order.begin(), order.end(), random);
        for (const std::size_t i : order) {
            std::this_thread::sleep_for(std::chrono::microseconds{300});
            times[i].push_back(nanoseconds_of(all[i].round));
        }
        if (t % a_round != 0) continue;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto median = times[i].end() - a_round / 2;
            std::nth_element(times[i].end() - a_round, median, times[i].end());
            all[i].best = std::min(all[i].best, *median);
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto late = times[i].begin() + trips * 99 / 100;
        std::nth_element(times[i].begin(), late, times[i].end());
        all[i].worst = *late;
    }
}

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

// Nanoseconds of a task with a future, and of a trip; zeros, which the report shows as absent, without
// Python.
std::pair<double, double> python() {
    const std::string script = std::string{PLAIT_BENCH_SOURCE} + "/rivals/python_pool.py";
    std::pair<double, double> result{0, 0};
    if (FILE* const out = ::popen(("/usr/bin/python3 " + script).c_str(), "r")) {
        if (std::fscanf(out, "%lf %lf", &result.first, &result.second) != 2) result = {0, 0};
        ::pclose(out);
    }
    return result;
}

template <class Submit>
std::function<void()> with_futures(Submit submit) {
    return [submit] {
        std::vector<decltype(submit())> all;
        all.reserve(tasks);
        for (int i = 0; i < tasks; ++i) all.push_back(submit());
        for (auto& f : all) f.get();
    };
}

bool wanted(const char* row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || std::strcmp(only, row) == 0 || std::strcmp(only, "pool") == 0;
}

} // namespace

int main() {
    const auto nothing = [] {};
    const auto seven = [] { return 7; };
    plait::thread_pool pool{{.workers = workers}};
    rivals::mutex_pool mutex_pool{workers};
    boost::asio::thread_pool asio{workers};
    tbb::task_arena arena{workers + 1, 1};
    arena.initialize();

    const auto asio_future = [&asio, seven] {
        auto task = std::make_shared<std::packaged_task<int()>>(seven);
        auto f = task->get_future();
        boost::asio::post(asio, [task] { (*task)(); });
        return f;
    };

    if (wanted("empty tasks")) {
        std::vector<contender> all{{"plait",
                                    [&] {
                                        plait::thread_pool mine{{.workers = workers}};
                                        for (int i = 0; i < tasks; ++i) mine.post(nothing);
                                        mine.shutdown();
                                    }},
                                   {"mutex and condition variable",
                                    [&] {
                                        for (int i = 0; i < tasks; ++i) mutex_pool.post(nothing);
                                        mutex_pool.wait_idle();
                                    }},
                                   {"Asio",
                                    [&] {
                                        boost::asio::thread_pool its{workers};
                                        for (int i = 0; i < tasks; ++i) boost::asio::post(its, nothing);
                                        its.join();
                                    }},
                                   {"oneTBB", [&] {
                                        arena.execute([&] {
                                            tbb::task_group group;
                                            for (int i = 0; i < tasks; ++i) group.run(nothing);
                                            group.wait();
                                        });
                                    }}};
        measure(all, tasks);
        print("empty tasks", all, {}, 4);
    }
    const auto of_python =
        wanted("empty tasks with futures") || wanted("idle submit to get") ? python() : std::pair{0.0, 0.0};
    if (wanted("empty tasks with futures")) {
        std::vector<contender> all{
            {"plait", with_futures([&] { return pool.submit(seven); })},
            {"mutex and condition variable", with_futures([&] { return mutex_pool.submit(seven); })},
            {"Asio", with_futures(asio_future)}};
        measure(all, tasks);
        // A thread each: a hundredth of the tasks is enough to see it.
        const double async = nanoseconds_of([&] {
                                 for (int i = 0; i < tasks / 100; ++i)
                                     std::async(std::launch::async, seven).get();
                             }) /
                             (tasks / 100.0);
        print("empty tasks with futures", all, {{"std::async", async}, {"Python threads", of_python.first}},
              12);
    }
    if (wanted("idle submit to get") || wanted("idle submit to get p99")) {
        futex_pair futexes;
        std::vector<contender> all{{"plait", [&] { pool.submit(seven).get(); }},
                                   {"a futex round trip", [&] { futexes.trip(); }},
                                   {"mutex and condition variable", [&] { mutex_pool.submit(seven).get(); }},
                                   {"Asio", [&] { asio_future().get(); }},
                                   {"std::async", [&] { std::async(std::launch::async, seven).get(); }}};
        measure_trips(all);
        if (wanted("idle submit to get"))
            print("idle submit to get", all, {{"Python threads", of_python.second}}, 1 / 1.2);
        std::erase_if(all, [](const contender& c) { return std::strncmp(c.name, "a futex", 7) == 0; });
        for (contender& c : all) c.best = c.worst;
        if (wanted("idle submit to get p99")) print("idle submit to get p99", all, {}, 1);
    }
    if (wanted("idle pool")) {
        // The clock of the kernel's accounts has no finer grain than this; nothing at all cannot be a ratio.
        const double share = std::max(idle_share(), 0.0001);
        std::printf("{\"row\": \"idle pool\", \"unit\": \"%% of a core\", \"plait\": %.4f, \"peers\": {\"the "
                    "limit\": 0.1}, "
                    "\"better\": \"lower\", \"reach\": 1}\n",
                    share);
    }
}
