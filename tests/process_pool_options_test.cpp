// SPDX-License-Identifier: Apache-2.0
// limit: 60
// What a pool makes of its workers: environment, niceness, memory, isolation; and what it tells of them.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <system_error>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::process_pool_options;
using plait::worker_event;
using plait::worker_lost;

std::string variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? value : "(none)";
}

std::string seen_by_initializer;
void look_at_environment() { seen_by_initializer = variable("PLAIT_TEST_SET"); }

TEST(ProcessPoolOptions, VariablesAreSetAndRemovedInTheWorkersAlone) {
    ::setenv("PLAIT_TEST_GONE", "here", 1);
    process_pool pool{
        {.workers = 1,
         .initializer = look_at_environment,
         .environment = {{"PLAIT_TEST_SET", "one"}, {"PLAIT_TEST_EMPTY", ""}, {"PLAIT_TEST_GONE", {}}}}};
    EXPECT_EQ(pool.submit(variable, std::string{"PLAIT_TEST_SET"}).get(), "one");
    EXPECT_EQ(pool.submit(variable, std::string{"PLAIT_TEST_EMPTY"}).get(), "");
    EXPECT_EQ(pool.submit(variable, std::string{"PLAIT_TEST_GONE"}).get(), "(none)");
    EXPECT_EQ(pool.submit([] { return seen_by_initializer; }).get(), "one");
    EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
    EXPECT_EQ(pool.submit(variable, std::string{"PLAIT_TEST_SET"}).get(), "one") << "in replacements too";
    EXPECT_EQ(variable("PLAIT_TEST_SET"), "(none)");
    EXPECT_EQ(variable("PLAIT_TEST_GONE"), "here");
    ::unsetenv("PLAIT_TEST_GONE");
}

TEST(ProcessPoolOptions, WorkersAreAsNiceAsTheyAreAskedToBe) {
    const int here = ::getpriority(PRIO_PROCESS, 0);
    process_pool pool{{.workers = 1, .nice = 3}};
    EXPECT_EQ(pool.submit([] { return ::getpriority(PRIO_PROCESS, 0); }).get(), std::min(here + 3, 19));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), here);
}

// ---- memory
// -------------------------------------------------------------------------------------------------------

std::size_t touch(std::size_t megabytes) {
    std::vector<char> much(megabytes << 20, 'x');
    return much.size();
}

TEST(ProcessPoolOptions, ATaskThatWantsTooMuchMemoryGetsBadAllocAndItsWorkerGoesOn) {
    if (sanitized) GTEST_SKIP() << "shadow memory counts for the limit";
    process_pool pool{{.workers = 1, .memory_limit = std::uint64_t{128} << 20}};
    const int pid = pool.submit(pid_of_worker).get();
    EXPECT_EQ(pool.submit(touch, std::size_t{16}).get(), std::size_t{16} << 20);
    EXPECT_THROW(pool.submit(touch, std::size_t{512}).get(), std::bad_alloc);
    EXPECT_EQ(pool.submit(pid_of_worker).get(), pid);
}

// Shared memory is not data, so no limit of the process stops it.
void take_shared_memory(std::size_t megabytes) {
    const std::size_t size = megabytes << 20;
    void* much = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    std::memset(much, 1, size);
    spin();
}

TEST(ProcessPoolOptions, AWorkerThatGetsRoundTheLimitIsKilledAndTheTaskSaysWhy) {
    constexpr std::size_t limit = sanitized ? 512 : 64; // megabytes
    process_pool pool{{.workers = 2, .memory_limit = std::uint64_t{limit} << 20}};
    auto large = pool.submit(take_shared_memory, limit + 64);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
    try {
        large.get();
        ADD_FAILURE() << "it went on";
    } catch (const worker_lost& lost) {
        EXPECT_NE(lost.reason().find(".memory_limit"), std::string::npos) << lost.what();
        EXPECT_GT(lost.peak_memory(), static_cast<std::int64_t>(limit) << 20);
    }
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

// ---- isolation
// ----------------------------------------------------------------------------------------------------

int error_of_socket(int domain) {
    const int fd = ::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int error = fd < 0 ? errno : 0;
    if (fd >= 0) ::close(fd);
    return error;
}
int error_of_open(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    const int error = fd < 0 ? errno : 0;
    if (fd >= 0) ::close(fd);
    return error;
}
int kept_open = -1;
void open_before(const std::string& path) {
    kept_open = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
}

TEST(ProcessPoolOptions, WithoutNetworkOnlyUnixSocketsCanBeMade) {
    process_pool pool{{.workers = 1, .isolate = {.no_network = true}}};
    EXPECT_EQ(pool.submit(error_of_socket, AF_INET).get(), EACCES);
    EXPECT_EQ(pool.submit(error_of_socket, AF_INET6).get(), EACCES);
    EXPECT_EQ(pool.submit(error_of_socket, AF_NETLINK).get(), EACCES);
    EXPECT_EQ(pool.submit(error_of_socket, AF_UNIX).get(), 0);
    EXPECT_EQ(error_of_socket(AF_INET), 0) << "here it is as before";
    const shared_counter file;
    EXPECT_EQ(pool.submit(error_of_open, file.path(), O_RDWR).get(), 0) << "files are";
}

TEST(ProcessPoolOptions, WithReadOnlyFilesNothingIsWrittenButWhatWasOpenBefore) {
    const shared_counter file;
    const std::string other = file.path() + "-other";
    process_pool pool{
        {.workers = 1, .initializer = {open_before, file.path()}, .isolate = {.read_only_files = true}}};
    EXPECT_EQ(pool.submit(error_of_open, file.path(), O_RDONLY).get(), 0);
    for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT, O_RDWR | O_TMPFILE})
        EXPECT_EQ(pool.submit(error_of_open, file.path(), flags).get(), EROFS) << flags;
    const auto errors = [](const std::string& path, const std::string& to) {
        const auto error = [](int result) { return result == 0 ? 0 : errno; };
        return std::vector<int>{
            error(::unlink(path.c_str())),           error(::rename(path.c_str(), to.c_str())),
            error(::mkdir(to.c_str(), 0700)),        error(::chmod(path.c_str(), 0777)),
            error(::truncate(path.c_str(), 0)),      error(::symlink(path.c_str(), to.c_str())),
            error(::link(path.c_str(), to.c_str())), error(::utimensat(AT_FDCWD, path.c_str(), nullptr, 0))};
    };
    for (const int error : pool.submit(errors, file.path(), other).get()) EXPECT_EQ(error, EROFS);
    EXPECT_NE(
        pool.submit([](const std::string& path) { return std::system(("rm -f " + path + " 2>&-").c_str()); },
                    file.path())
            .get(),
        0)
        << "what it starts may not either";
    EXPECT_EQ(file.value(), 0);
    EXPECT_EQ(pool.submit([] { return ::write(kept_open, "x", 1); }).get(), 1);
    EXPECT_EQ(file.value(), 1);
    EXPECT_EQ(error_of_open(other, O_WRONLY | O_CREAT), 0) << "here it is as before";
    ::unlink(other.c_str());
}

TEST(ProcessPoolOptions, AnIsolatedPoolIsAPoolAsAnyOther) {
    process_pool pool{{.workers = 2, .isolate = {.no_network = true, .read_only_files = true}}};
    const std::vector<char> large(std::size_t{5} << 20, 'x');
    EXPECT_EQ(pool.submit(echo<std::vector<char>>, large).get(), large);
    EXPECT_EQ(pool.submit(sleep_and_double, 4).get(), 8);
    EXPECT_THROW(pool.submit(die_by, SIGSEGV).get(), worker_lost);
    EXPECT_EQ(pool.submit([] {
                      int sum = 0;
                      std::thread{[&] { sum = 42; }}.join();
                      return sum;
                  })
                  .get(),
              42);
}

// ---- events
// -------------------------------------------------------------------------------------------------------

class event_log {
  public:
    plait::worker_event_handler handler() {
        return [this](const worker_event& e) {
            const std::lock_guard guard{lock_};
            events_.push_back(e);
        };
    }
    std::vector<worker_event> events() const {
        const std::lock_guard guard{lock_};
        return events_;
    }
    int count(worker_event::kind kind) const {
        int n = 0;
        for (const worker_event& e : events()) n += e.what == kind ? 1 : 0;
        return n;
    }

  private:
    mutable std::mutex lock_;
    std::vector<worker_event> events_;
};

TEST(ProcessPoolOptions, EveryWorkersLifeIsToldInOrder) {
    event_log log;
    std::uint64_t lost_task = 0;
    {
        process_pool pool{{.workers = 2, .max_tasks_per_worker = 5, .on_worker_event = log.handler()}};
        for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(add, i, 1).get(), i + 1);
        try {
            pool.submit({.name = "fatal"}, die_by, SIGKILL).get();
        } catch (const worker_lost& lost) {
            lost_task = lost.task();
        }
        EXPECT_EQ(pool.submit(add, 1, 1).get(), 2);
    }
    std::map<int, std::vector<worker_event::kind>> lives;
    std::set<unsigned> seats;
    for (const worker_event& e : log.events()) {
        lives[e.pid].push_back(e.what);
        seats.insert(e.worker);
        if (e.what != worker_event::kind::lost) continue;
        EXPECT_EQ(e.task, lost_task);
        EXPECT_NE(e.text.find("was killed by SIGKILL in task #"), std::string::npos) << e.text;
        EXPECT_NE(e.text.find("'fatal' (attempt 1 of 1"), std::string::npos) << e.text;
    }
    EXPECT_EQ(seats, (std::set<unsigned>{0, 1}));
    EXPECT_GE(lives.size(), 5U);
    int lost = 0;
    for (const auto& [pid, life] : lives) {
        EXPECT_EQ(life.front(), worker_event::kind::started);
        const bool died = life.back() == worker_event::kind::lost;
        lost += died ? 1 : 0;
        EXPECT_TRUE(died || life.back() == worker_event::kind::retired);
        EXPECT_LE(life.size(), 3U);
        if (life.size() == 3) {
            EXPECT_EQ(life[1], worker_event::kind::ready);
        }
    }
    EXPECT_EQ(lost, 1);
    int first = 0;
    for (const worker_event& e : log.events())
        if (e.what == worker_event::kind::started && !e.replacement) ++first;
    EXPECT_EQ(first, 2);
}

TEST(ProcessPoolOptions, AHandlerMaySubmitAndWhatItThrowsIsReported) {
    process_pool* where = nullptr;
    std::mutex lock;
    std::vector<plait::future<int>> from_handler;
    std::atomic<int> reported{0};
    std::atomic<int> ready{0};
    {
        process_pool pool{{.workers = 2,
                           .on_worker_event =
                               [&](const worker_event& e) {
                                   if (e.what == worker_event::kind::ready) {
                                       const std::lock_guard guard{lock};
                                       if (where != nullptr)
                                           from_handler.push_back(where->submit(add, 20, 22));
                                       ++ready;
                                   }
                                   if (e.what == worker_event::kind::lost)
                                       throw std::runtime_error{"from the handler"};
                               },
                           .on_unhandled =
                               [&](const plait::unhandled_failure& failure) {
                                   EXPECT_STREQ(failure.task_name, "on_worker_event");
                                   ++reported;
                               }}};
        while (ready < 2) std::this_thread::yield();
        {
            const std::lock_guard guard{lock};
            where = &pool;
        }
        EXPECT_THROW(pool.submit(die_by, SIGKILL).get(), worker_lost);
        while (ready < 3) std::this_thread::yield();
        const std::lock_guard guard{lock};
        where = nullptr;
    }
    EXPECT_EQ(reported, 1);
    ASSERT_EQ(from_handler.size(), 1U);
    EXPECT_EQ(from_handler[0].get(), 42);
}

// ---- what makes no sense
// -----------------------------------------------------------------------------------------

void expect_refused(process_pool_options options, const char* option) {
    try {
        const process_pool pool{std::move(options)};
        ADD_FAILURE() << option << " was taken";
    } catch (const std::invalid_argument& e) {
        EXPECT_NE(std::string{e.what()}.find(option), std::string::npos) << e.what();
    }
}

TEST(ProcessPoolOptions, ValuesThatMakeNoSenseAreRefusedByName) {
    expect_refused({.workers = 0}, ".workers");
    expect_refused({.max_tasks_per_worker = 0}, ".max_tasks_per_worker");
    expect_refused({.retries = -1}, ".retries");
    expect_refused({.memory_limit = 0}, ".memory_limit");
    expect_refused({.memory_limit = 1 << 20}, ".memory_limit");
    expect_refused({.environment = {{"", "x"}}}, ".environment");
    expect_refused({.environment = {{"a=b", "x"}}}, ".environment");
    expect_refused({.nice = 20}, ".nice");
    expect_refused({.nice = -21}, ".nice");
}

} // namespace
