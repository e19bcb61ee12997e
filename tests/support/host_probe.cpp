// SPDX-License-Identifier: Apache-2.0
// host_probe MODE [ARGUMENT...]: a program that owns a process pool under conditions that a test program
// cannot make for itself. Exit status 0: all was as it should be; otherwise stderr, if there is one, says
// what was not.
// clang-format off
//   bare                     no plait::program: prints what the pool's constructor throws
//   says_main                prints "main", after plait::program
//   streams                  some standard streams are closed or broken: the pool works, and takes none of their numbers
//   group DIRECTORY          a task waits at the probe's gate while its process group gets signals
//   no_worker N              the helper can fork N times only: fewer than the pool's workers
//   one_worker N             ... as often as the pool has workers; one of them dies
//   last_worker N            ... and then all of them
//   few_descriptors          32 descriptors for the program and its helper
//   few_processes            as another user (for root), who may have no more than 6 processes and threads
//   busy SEED                works until it is killed
// clang-format on
#include "conformance/probe.hpp"
#include "support/process_tasks.hpp"

#include <plait/errors.hpp>
#include <plait/process_pool.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

// The library's helper forks by this: it fails as if there were too many processes.
extern "C" {
[[gnu::weak]] pid_t __interceptor_fork(); // a sanitizer's
pid_t fork() {
    const char* allowed = std::getenv("PLAIT_TEST_FORKS");
    static int left = allowed ? std::atoi(allowed) : -1;
    if (left == 0) {
        process_tasks::count(std::getenv("PLAIT_TEST_REFUSED"));
        errno = EAGAIN;
        return -1;
    }
    if (left > 0) --left;
    if (&__interceptor_fork != nullptr) return __interceptor_fork();
    return reinterpret_cast<pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"))();
}
}

namespace {

using plait::process_pool;

#define CHECK_THROWN() CHECK(false && "nothing was thrown")
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            std::fprintf(stderr, "host_probe:%d: not so: %s\n", __LINE__, #condition);                       \
            ::_exit(1);                                                                                      \
        }                                                                                                    \
    } while (false)

int twice(int n) { return 2 * n; }
void die() { ::kill(::getpid(), SIGKILL); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

/// How many of 0, 1, 2 are open and no descriptor of plait's: a file, a terminal, a pipe, but no socket or
/// event.
int usable_streams() {
    int n = 0;
    for (int fd = 0; fd < 3; ++fd) {
        char target[256] = {};
        const std::string name = "/proc/self/fd/" + std::to_string(fd);
        if (::readlink(name.c_str(), target, sizeof(target) - 1) < 0) continue;
        if (std::strncmp(target, "socket:", 7) != 0 && std::strncmp(target, "anon_inode:", 11) != 0 &&
            std::strncmp(target, "/memfd:", 7) != 0)
            ++n;
    }
    return n;
}
void print_unflushed() { std::fputs("worker", stdout); }

int streams() {
    std::vector<bool> before;
    for (int fd = 0; fd < 3; ++fd) before.push_back(is_open(fd));
    std::fputs("BUFFERED", stdout); // stays there: nobody else may print it
    {
        process_pool pool{{.workers = 2}};
        for (int i = 0; i < 100; ++i) CHECK(pool.submit(twice, i).get() == 2 * i);
        CHECK(pool.submit(usable_streams).get() == 3);
        pool.submit(print_unflushed).get();
        try {
            pool.submit(die).get();
            CHECK_THROWN();
        } catch (const plait::worker_lost&) {}
        for (int i = 0; i < 100; ++i) CHECK(pool.submit(twice, i).get() == 2 * i);
        for (int fd = 0; fd < 3; ++fd) CHECK(is_open(fd) == before[static_cast<std::size_t>(fd)]);
    }
    ::__fpurge(stdout); // it cannot be written where the stream is broken
    return 0;
}

int bare() {
    try {
        const process_pool pool{{.workers = 2}};
    } catch (const std::logic_error& e) {
        std::puts(e.what());
        return 0;
    }
    return 1;
}

std::atomic<int> interrupts{0};

int group(const char* directory) {
    struct sigaction action{};
    action.sa_handler = [](int) { ++interrupts; };
    ::sigaction(SIGINT, &action, nullptr);
    const conformance::token place{directory};
    process_pool pool{{.workers = 2}};
    auto first = pool.submit(conformance::hold, place, 1);
    auto second = pool.submit(conformance::hold, place, 2);
    std::vector<int> pids;
    for (const auto& w : pool.status()) pids.push_back(w.pid);
    for (int seen = 0; seen < 3; ++seen) { // each is acknowledged before the next one comes
        while (interrupts == seen) std::this_thread::yield();
        conformance::note(place, 'i');
        conformance::ring(place);
    }
    CHECK(first.get() == 1 && second.get() == 2);
    for (std::size_t i = 0; i < pids.size(); ++i) CHECK(pool.status()[i].pid == pids[i]);
    return 0;
}

void check_nobody_stayed() { CHECK(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD); }

bool is_too_many(const std::system_error& e) {
    return e.code() == std::errc::resource_unavailable_try_again &&
           std::strstr(e.what(), "cannot start worker") != nullptr;
}

/// From here on a helper that is started can fork so many times.
class scarce_forks {
  public:
    explicit scarce_forks(const char* forks) {
        ::setenv("PLAIT_TEST_FORKS", forks, 1);
        ::setenv("PLAIT_TEST_REFUSED", refused_.path().c_str(), 1);
    }
    int refused() const { return refused_.value(); }

  private:
    process_tasks::shared_counter refused_;
};

int no_worker(const char* forks) {
    const scarce_forks scarce{forks};
    try {
        const process_pool pool{{.workers = 4}};
        CHECK_THROWN();
    } catch (const std::system_error& e) {
        CHECK(is_too_many(e));
    }
    check_nobody_stayed();
    ::unsetenv("PLAIT_TEST_FORKS");
    process_pool pool{{.workers = 4}}; // a failure is forgotten
    CHECK(pool.submit(twice, 3).get() == 6);
    return 0;
}

int one_worker(const char* forks) {
    const scarce_forks scarce{forks};
    {
        process_pool pool{{.workers = std::atoi(forks)}};
        try {
            pool.submit(die).get();
            CHECK_THROWN();
        } catch (const plait::worker_lost&) {}
        // More attempts to replace it than break a pool that has no worker: the other one does the work
        // meanwhile.
        for (int i = 0; scarce.refused() < 7; ++i) CHECK(pool.submit(twice, i).get() == 2 * i);
    }
    check_nobody_stayed();
    return 0;
}

int last_worker(const char* forks) {
    const scarce_forks scarce{forks};
    {
        process_pool pool{{.workers = 2}};
        std::vector<plait::future<void>> deaths;
        for (int i = std::atoi(forks); i > 0; --i) deaths.push_back(pool.submit(die));
        std::vector<plait::future<int>> pending;
        for (int i = 0; i < 20; ++i)
            pending.push_back(pool.submit({.priority = plait::priority::low}, twice, i));
        for (auto& f : deaths) {
            try {
                f.get();
                CHECK_THROWN();
            } catch (const plait::worker_lost&) {}
        }
        pending.push_back(pool.submit(twice, 1));
        int broken = 0;
        for (auto& f : pending) {
            try {
                (void)f.get(); // it was there before the last one died
            } catch (const plait::pool_broken& e) {
                ++broken;
                CHECK(std::strstr(e.what(), std::strerror(EAGAIN)) != nullptr);
                try {
                    std::rethrow_if_nested(e);
                    CHECK_THROWN();
                } catch (const std::system_error& cause) {
                    CHECK(is_too_many(cause));
                }
            }
        }
        CHECK(broken > 0);
        pool.shutdown();
    }
    check_nobody_stayed();
    return 0;
}

// ---- what the system refuses for good
// --------------------------------------------------------------------------------------

void run_some(process_pool& pool) {
    for (int i = 0; i < 20; ++i) CHECK(pool.submit(twice, i).get() == 2 * i);
}

/// Pools from one worker up to more than there is room for: each works, or its constructor says what is
/// short.
int pools_until_refused(std::errc refusal, const char* what_to_raise) {
    int refused = 0;
    int worked = 0;
    for (int workers = 1; workers <= 24; ++workers) {
        try {
            process_pool pool{{.workers = workers}};
            run_some(pool);
            ++worked;
        } catch (const std::system_error& e) {
            if (e.code() != refusal) std::fprintf(stderr, "%d workers: %s\n", workers, e.what());
            CHECK(e.code() == refusal);
            // The message names what to do wherever it is a worker that could not be started.
            if (std::strstr(e.what(), "cannot start worker") != nullptr)
                CHECK(std::strstr(e.what(), what_to_raise) != nullptr);
            ++refused;
        }
        check_nobody_stayed();
    }
    CHECK(worked > 0);
    CHECK(refused > 0);
    process_pool pool{{.workers = 1}}; // as well as before
    try {
        pool.submit(die).get();
        CHECK_THROWN();
    } catch (const plait::worker_lost&) {}
    run_some(pool);
    return 0;
}

int few_descriptors() {
    const rlimit few{32, 32};
    CHECK(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    return pools_until_refused(std::errc::too_many_files_open, "ulimit -n");
}

int few_processes() {
    constexpr uid_t nobody = 54321; // nobody's: no process but ours counts
    CHECK(::setuid(nobody) == 0);
    const rlimit few{6, 6};
    CHECK(::setrlimit(RLIMIT_NPROC, &few) == 0);
    return pools_until_refused(std::errc::resource_unavailable_try_again, "ulimit -u");
}

std::vector<char> give_back(std::vector<char> v) { return v; }
plait::task<int> wait_a_little(int n) {
    co_await plait::sleep_for(std::chrono::microseconds{n % 500});
    co_return n;
}
void die_sometimes(int n) {
    if (n % 7 == 0) die();
}

/// All that a pool does, for ever.
int busy(const char* seed) {
    const int kind = std::atoi(seed);
    const plait::program as_well{0, nullptr, {.keep_helper = kind % 3 == 2}};
    for (int round = 0;; ++round) {
        process_pool pool{{.workers = 1 + (kind + round) % 3,
                           .loop = kind % 4 == 1,
                           .capture_output = kind % 4 == 2,
                           .memory_limit = std::uint64_t{1} << 30}};
        std::vector<plait::future<std::vector<char>>> large;
        std::vector<plait::future<int>> small;
        std::vector<plait::future<void>> deadly;
        for (int i = 0; i < 200; ++i) {
            if (i % 20 == 0)
                large.push_back(pool.submit(give_back, std::vector<char>(std::size_t{3} << 20, 'x')));
            small.push_back(pool.submit(wait_a_little, i));
            if (i % 40 == 0) deadly.push_back(pool.submit(die_sometimes, i));
        }
        for (auto& f : large) f.wait();
        for (auto& f : small) f.wait();
        for (auto& f : deadly) f.wait();
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "bare") == 0) return bare();
    plait::program program{argc, argv};
    ::prctl(PR_SET_CHILD_SUBREAPER, 1); // whoever is left behind becomes our child
    if (argc == 2 && std::strcmp(argv[1], "says_main") == 0) return std::puts("main") < 0;
    if (argc == 2 && std::strcmp(argv[1], "streams") == 0) return streams();
    if (argc == 2 && std::strcmp(argv[1], "few_descriptors") == 0) return few_descriptors();
    if (argc == 2 && std::strcmp(argv[1], "few_processes") == 0) return few_processes();
    if (argc != 3) return 2;
    if (std::strcmp(argv[1], "busy") == 0) return busy(argv[2]);
    if (std::strcmp(argv[1], "group") == 0) return group(argv[2]);
    if (std::strcmp(argv[1], "no_worker") == 0) return no_worker(argv[2]);
    if (std::strcmp(argv[1], "one_worker") == 0) return one_worker(argv[2]);
    if (std::strcmp(argv[1], "last_worker") == 0) return last_worker(argv[2]);
    return 2;
}
