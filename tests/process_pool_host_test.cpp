// SPDX-License-Identifier: Apache-2.0
// limit: 60
// A process pool and its host: streams, signals, children and limits that are the host's own.
#include <gtest/gtest.h>

#include <plait/serialize.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <string_view>
#include <system_error>

#include "conformance/probe.hpp"
#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::cancel_mode;
using plait::process_pool;
using plait::worker_lost;

// ---- host_probe: see tests/support/host_probe.cpp
// ----------------------------------------------------------

struct pipe_ends {
    int read = -1;
    int write = -1;
};
pipe_ends make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error{errno, std::system_category(), "pipe2"};
    return {ends[0], ends[1]};
}

/// A running host_probe, in a process group of its own. Its stdout and stderr are one pipe to us, but for the
/// streams that it has to do without.
class host_probe {
  public:
    enum class stream : unsigned char { given, closed, broken };
    struct streams {
        stream in = stream::given;
        stream out = stream::given;
        stream error = stream::given;
    };

    explicit host_probe(std::vector<std::string> arguments) : host_probe{std::move(arguments), {}} {}
    host_probe(std::vector<std::string> arguments, streams how) {
        const pipe_ends output = make_pipe();
        const pipe_ends broken = make_pipe();
        ::close(broken.read);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        const stream all[] = {how.in, how.out, how.error};
        for (int fd = 0; fd < 3; ++fd) {
            const stream s = all[fd];
            if (s == stream::closed)
                ::posix_spawn_file_actions_addclose(&actions, fd);
            else if (s == stream::broken)
                ::posix_spawn_file_actions_adddup2(&actions, broken.write, fd);
            else if (fd != 0)
                ::posix_spawn_file_actions_adddup2(&actions, output.write, fd);
        }
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        sigset_t defaults;
        ::sigemptyset(&defaults);
        ::sigaddset(&defaults, SIGINT);
        ::posix_spawnattr_setsigdefault(&attributes, &defaults);
        ::posix_spawnattr_setpgroup(&attributes, 0);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
        std::string name = PLAIT_HOST_PROBE;
        std::vector<char*> argv{name.data()};
        for (std::string& a : arguments) argv.push_back(a.data());
        argv.push_back(nullptr);
        const int error = ::posix_spawn(&pid_, name.c_str(), &actions, &attributes, argv.data(), environ);
        ::posix_spawnattr_destroy(&attributes);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(output.write);
        ::close(broken.write);
        output_ = output.read;
        if (error != 0) throw std::system_error{error, std::system_category(), name};
    }
    host_probe(const host_probe&) = delete;
    host_probe& operator=(const host_probe&) = delete;
    ~host_probe() {
        ::close(output_);
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    }

    int pid() const { return pid_; }

    /// Waits for its end. All that was printed, by whomever, until the last one that could print has gone.
    std::string output() {
        std::string all;
        char buffer[512];
        for (ssize_t n = 0; (n = ::read(output_, buffer, sizeof buffer)) != 0;)
            if (n > 0) all.append(buffer, static_cast<std::size_t>(n));
        ::waitpid(pid_, &status_, 0);
        pid_ = 0;
        return all;
    }
    int status() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : 1000 + WTERMSIG(status_); }

  private:
    pid_t pid_ = 0;
    int output_ = -1;
    int status_ = -1;
};

void expect_well(std::vector<std::string> arguments) {
    host_probe probe{std::move(arguments)};
    EXPECT_EQ(probe.output(), "");
    EXPECT_EQ(probe.status(), 0);
}

// ---- what the host lacks
// -----------------------------------------------------------------------------------

TEST(ProcessPoolHost, P12_WhereAWorkerCannotBeForkedTheConstructorThrowsAndNoneStaysBehind) {
    for (const char* forks : {"0", "1", "3"}) {
        SCOPED_TRACE(forks);
        expect_well({"no_worker", forks});
    }
}

std::size_t open_descriptors() {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !entry.path().empty();
    return n;
}

TEST(ProcessPoolHost, P12_WhereDescriptorsRunOutTheConstructorThrowsAndNothingStaysBehind) {
    if (address_sanitizer) GTEST_SKIP() << vptr_takes_a_descriptor;
    {
        process_pool warm{{.workers = 1}};
        EXPECT_EQ(warm.submit(add, 1, 1).get(), 2); // the first task makes the registry, for good
    }
    // The helper, which has the same limit but none of these, is to have enough.
    std::vector<int> spare(20);
    for (int& fd : spare) fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const std::size_t before = open_descriptors();
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    int adopts = 0;
    ASSERT_EQ(::prctl(PR_GET_CHILD_SUBREAPER, &adopts), 0);
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const int next = ::dup(0); // the number that the next one would have
    ::close(next);
    int refused = 0;
    for (int room = 0;; ++room) {
        rlimit tight = limit;
        tight.rlim_cur = static_cast<rlim_t>(next + room);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
        std::error_code code;
        bool made = false;
        try {
            process_pool pool{{.workers = 3}};
            made = true;
        } catch (const std::system_error& e) {
            code = e.code();
        }
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
        EXPECT_EQ(open_descriptors(), before) << room;
        EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << room;
        if (made) break;
        EXPECT_EQ(code, std::errc::too_many_files_open) << room;
        ++refused;
    }
    EXPECT_GT(refused, 3);
    for (const int fd : spare) ::close(fd);
    ::prctl(PR_SET_CHILD_SUBREAPER, adopts);
}

TEST(ProcessPoolHost, P12_WithThirtyTwoDescriptorsAPoolWorksOrSaysWhatIsShort) {
    if (sanitized) GTEST_SKIP() << vptr_takes_a_descriptor;
    expect_well({"few_descriptors"});
}

TEST(ProcessPoolHost, P12_WhereTheUserMayHaveNoMoreProcessesAPoolSaysSoAndWorksLater) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become a user who has no processes yet";
    if (sanitized) GTEST_SKIP() << "a sanitizer's own threads count as well";
    expect_well({"few_processes"});
}

TEST(ProcessPoolHost, P12_WhileOneWorkerLivesThePoolWorks) { expect_well({"one_worker", "2"}); }

TEST(ProcessPoolHost, P12_WithNoWorkerLeftPendingTasksEndWithPoolBrokenAndTheCause) {
    expect_well({"last_worker", "2"});
    expect_well({"last_worker", "3"});
}

TEST(ProcessPoolHost, P17_StandardStreamsThatAreClosedOrBroken) {
    using stream = host_probe::stream;
    for (const stream in : {stream::given, stream::closed})
        for (const stream out : {stream::given, stream::closed, stream::broken})
            for (const stream error : {stream::given, stream::closed, stream::broken}) {
                host_probe probe{{"streams"}, {in, out, error}};
                const std::string said = probe.output();
                EXPECT_EQ(probe.status(), 0) << static_cast<int>(in) << static_cast<int>(out)
                                             << static_cast<int>(error) << ": " << said;
                EXPECT_EQ(said.find("BUFFERED"), std::string::npos) << said;
            }
}

TEST(ProcessPoolHost, P22_WithoutProgramTheConstructorSaysWhatToAdd) {
    host_probe probe{{"bare"}};
    const std::string said = probe.output();
    EXPECT_EQ(probe.status(), 0) << said;
    EXPECT_NE(said.find("plait::program program{argc, argv}"), std::string::npos) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << "one process said it";
}

// What `program` makes of PLAIT_HELPER and a message socket at 3, where the process that made both has ended.
std::string said_by_an_orphaned_helper(bool with_message) {
    const pipe_ends output = make_pipe();
    const std::string token(32, 'a');
    const pid_t parent = ::fork();
    if (parent == 0) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) ::_exit(1);
        if (with_message && ::send(ends[0], "stray", 5, 0) != 5) ::_exit(1);
        const pid_t maker = ::getpid();
        if (::fork() != 0) ::_exit(0);
        ::close(ends[0]);
        while (::getppid() == maker) ::sched_yield();
        ::dup2(output.write, STDOUT_FILENO);
        ::dup2(ends[1], 3);
        ::setenv("PLAIT_HELPER", token.c_str(), 1);
        ::execl(PLAIT_HOST_PROBE, PLAIT_HOST_PROBE, "says_main", nullptr);
        ::_exit(1);
    }
    int status = -1;
    ::waitpid(parent, &status, 0);
    EXPECT_EQ(status, 0);
    ::close(output.write);
    std::string all;
    char c = 0;
    while (::read(output.read, &c, 1) == 1) all += c;
    ::close(output.read);
    return all;
}

TEST(ProcessPoolHost, P15_AHelperWhoseParentDiedBeforeItBeganNeverRunsMain) {
    EXPECT_EQ(said_by_an_orphaned_helper(false), "");
    EXPECT_EQ(said_by_an_orphaned_helper(true), "");
}

TEST(ProcessPoolHost, AVariableWithoutTheSocketIsNotBelieved) {
    ::setenv("PLAIT_HELPER", std::string(32, 'a').c_str(), 1);
    host_probe probe{{"says_main"}};
    ::unsetenv("PLAIT_HELPER");
    EXPECT_EQ(probe.output(), "main\n");
}

// ---- signals
// -----------------------------------------------------------------------------------------------

std::atomic<int> ticks{0};
void tick_every_millisecond() { // in a worker, or by `ticking`
    struct sigaction action{};
    action.sa_handler = [](int) { ticks.fetch_add(1, std::memory_order_relaxed); };
    action.sa_flags = 0; // no SA_RESTART: system calls end with EINTR
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 1000}, {0, 1000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
}

class ticking {
  public:
    ticking() {
        ::sigaction(SIGALRM, nullptr, &before_);
        tick_every_millisecond();
    }
    ticking(const ticking&) = delete;
    ticking& operator=(const ticking&) = delete;
    ~ticking() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before_, nullptr);
    }

  private:
    struct sigaction before_{};
};

TEST(ProcessPoolHost, P18_SignalsThatInterruptEveryCallChangeNoResult) {
    const ticking in_this_process;
    process_pool pool{{.workers = 2, .initializer = tick_every_millisecond}};
    const std::vector<char> large(std::size_t{8} << 20, 'x');
    std::vector<plait::future<std::vector<char>>> streams;
    for (int i = 0; i < 4; ++i) streams.push_back(pool.submit(echo<std::vector<char>>, large));
    std::vector<plait::future<int>> small;
    for (int i = 0; i < 2000; ++i) small.push_back(pool.submit(add, i, 1));
    EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
    EXPECT_EQ(pool.submit(sleep_and_double, 4).get(), 8);
    for (int i = 0; i < 2000; ++i) EXPECT_EQ(small[static_cast<std::size_t>(i)].get(), i + 1);
    for (auto& f : streams) EXPECT_EQ(f.get(), large);
    const int here = ticks;
    while (ticks < here + 20) EXPECT_EQ(pool.submit(add, 1, 1).get(), 2);
    EXPECT_GT(pool.submit([] { return ticks.load(); }).get(), 0);
}

TEST(ProcessPoolHost, X6_CtrlCInTheWholeGroupIsTheHostsToJudge) {
    conformance::probe gate;
    host_probe probe{{"group", gate.at().directory}};
    gate.wait_begun(2);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(::kill(-probe.pid(), SIGINT), 0);
        gate.wait_begun(1); // the host has seen it
    }
    gate.open();
    EXPECT_EQ(probe.output(), "") << "nobody prints";
    EXPECT_EQ(probe.status(), 0) << "and its workers, which are the same as before, give their values";
    EXPECT_EQ(gate.log(), "iii");
}

// ---- children
// ----------------------------------------------------------------------------------------------

TEST(ProcessPoolHost, P20_AHostThatWaitsForAllChildrenBreaksNothing) {
    std::atomic<bool> over{false};
    std::thread host{[&] {
        while (!over) {
            if (::waitpid(-1, nullptr, WNOHANG) <= 0) std::this_thread::yield();
        }
    }};
    for (int round = 0; round < 3; ++round) {
        process_pool pool{{.workers = 2}};
        for (int i = 0; i < 5; ++i) EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
        for (int i = 0; i < 50; ++i) EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
    }
    over = true;
    host.join();
}

TEST(ProcessPoolHost, P20_TheHostsOwnChildIsItsOwnToWaitFor) {
    const pipe_ends gate = make_pipe();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(gate.write);
        char c = 0;
        while (::read(gate.read, &c, 1) < 0) {}
        ::_exit(42);
    }
    {
        process_pool pool{{.workers = 2}};
        EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
        ::close(gate.write); // it ends while the pool works
        siginfo_t end{};
        EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT), 0);
        EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
        EXPECT_EQ(pool.submit(add, 1, 1).get(), 2);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 42);
    ::close(gate.read);
}

std::atomic<int> forks_seen{0};
std::mutex held_by_another;

TEST(ProcessPoolHost, P21_NothingIsForkedFromAProcessWithThreads) {
    static const int registered = ::pthread_atfork([] { ++forks_seen; }, nullptr, [] { ++forks_seen; });
    ASSERT_EQ(registered, 0);
    const int before = forks_seen;
    const std::lock_guard guard{held_by_another};
    std::thread owner{[] {
        process_pool pool{{.workers = 2}};
        const auto locks = [] {
            const std::lock_guard mine{held_by_another};
            return forks_seen.load();
        };
        EXPECT_EQ(pool.submit(locks).get(), 0);
        EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
        EXPECT_EQ(pool.submit(locks).get(), 0);
    }};
    owner.join();
    EXPECT_EQ(forks_seen, before);
}

} // namespace
