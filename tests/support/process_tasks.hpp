// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/process_pool.hpp>
#include <plait/time.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

/// What the tests of process pools run in workers: plain functions and types, as a user would write them.
namespace process_tasks {

inline int add(int a, int b) { return a + b; }

template <class T>
T echo(T value) {
    return value;
}

inline std::size_t size_of(std::vector<char> v) { return v.size(); }

struct point {
    int x;
    int y;
    int sum() const { return x + y; }
};

struct multiplier {
    int factor;
    int operator()(int x) const { return factor * x; }
};

struct shape {
    virtual ~shape() = default;
    virtual int area() const = 0;
};
struct square : shape {
    square() = default;
    explicit square(int s) : side{s} {}
    int area() const override { return side * side; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(side);
    }
    int side = 0;
};

struct rich {
    std::map<std::string, std::vector<std::optional<int>>> table;
    std::string name;
    point corner{};
    bool operator==(const rich& other) const {
        return table == other.table && name == other.name && corner.x == other.corner.x &&
               corner.y == other.corner.y;
    }
};

inline plait::task<int> sleep_and_double(int x) {
    co_await plait::sleep_for(std::chrono::milliseconds{1});
    co_return 2 * x;
}

// ---- ways to end
// -------------------------------------------------------------------------------------------------

inline int die_by(int signal) {
    std::signal(signal, SIG_DFL); // a sanitizer's own handler would turn it into an exit status
    std::raise(signal);
    return 0;
}
inline void die_by_void(int signal) { die_by(signal); }
inline void end_at_once(int status) { ::_exit(status); }
inline void end_by_exit(int status) { std::exit(status); } // NOLINT: what is tested
inline void throw_in_a_thread() {
    std::signal(SIGABRT, SIG_DFL);
    std::thread{[] { throw std::runtime_error{"in a thread"}; }}.join();
}
inline int crash_every_tenth(int i) {
    if (i % 10 == 0) die_by(i % 20 == 0 ? SIGSEGV : SIGKILL);
    return i;
}
inline int die_until_attempt(int wanted) {
    const auto attempt = static_cast<int>(plait::detail::this_worker().attempt);
    if (attempt < wanted) die_by(SIGKILL);
    return attempt;
}
inline int pid_of_worker() { return ::getpid(); }
inline void spin() {
    for (volatile bool go_on = true; go_on;) {}
}

// ---- values that misbehave
// ---------------------------------------------------------------------------------------

struct unwritable {
    template <class Archive>
    void save(Archive&) const {
        throw std::domain_error{"cannot be written"};
    }
    template <class Archive>
    void load(Archive&) {}
};
inline int take_unwritable(unwritable) { return 1; }
inline unwritable make_unwritable() { return {}; }

struct unwritable_after_much {
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::string(5'000'000, 'z'));
        throw std::domain_error{"cannot be written to its end"};
    }
    template <class Archive>
    void load(Archive&) {}
};
inline unwritable_after_much make_unwritable_after_much() { return {}; }

struct unreadable {
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::string{"something"});
    }
    template <class Archive>
    void load(Archive&) {
        throw std::domain_error{"cannot be read"};
    }
};
inline int take_unreadable(int, unreadable) { return 1; }
inline unreadable make_unreadable() { return {}; }

struct deadly_to_read {
    template <class Archive>
    void save(Archive& archive) const {
        archive(1);
    }
    template <class Archive>
    void load(Archive&) {
        die_by(SIGSEGV);
    }
};
inline int take_deadly_to_read(deadly_to_read) { return 1; }

struct dies_while_read {
    std::vector<char> content;
    template <class Archive>
    void save(Archive& archive) const {
        archive(content, content);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(content);
        die_by(SIGKILL);
    }
};
inline int take_large_and_die(dies_while_read) { return 1; }

struct dies_while_written {
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::vector<char>(std::size_t{16} << 20, 'y'));
        die_by(SIGKILL);
    }
    template <class Archive>
    void load(Archive& archive) {
        std::vector<char> content;
        archive(content);
    }
};
inline dies_while_written give_large_and_die() { return {}; }

struct counted {
    static inline int alive = 0;
    counted() { ++alive; }
    counted(const counted&) { ++alive; }
    counted(counted&&) noexcept { ++alive; }
    counted& operator=(const counted&) = default;
    ~counted() { --alive; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(content);
    }
    std::string content = "content";
};
inline int live_objects(const counted&) { return counted::alive; }

// ---- across processes
// ---------------------------------------------------------------------------------------------

/// A number in a file without a name: every task that is given its path appends to it.
class shared_counter {
  public:
    shared_counter() {
        char name[] = "/tmp/plait-count-XXXXXX";
        const int fd = ::mkstemp(name);
        ::close(fd);
        path_ = name;
    }
    shared_counter(const shared_counter&) = delete;
    shared_counter& operator=(const shared_counter&) = delete;
    ~shared_counter() { ::unlink(path_.c_str()); }
    const std::string& path() const { return path_; }
    int value() const {
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        const auto size = ::lseek(fd, 0, SEEK_END);
        ::close(fd);
        return static_cast<int>(size);
    }

  private:
    std::string path_;
};
inline void count(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    [[maybe_unused]] const auto written = ::write(fd, "x", 1);
    ::close(fd);
}
inline void count_and_die(const std::string& path) {
    count(path);
    die_by(SIGKILL);
}
inline void count_and_throw(const std::string& path) {
    count(path);
    throw std::runtime_error{"after counting"};
}

/// Numbers in a file without a name, in the order in which they were noted.
class note_file {
  public:
    const std::string& path() const { return file_.path(); }
    std::vector<int> numbers() const {
        std::vector<int> all;
        const int fd = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
        for (int number = 0; ::read(fd, &number, sizeof(number)) == sizeof(number);) all.push_back(number);
        ::close(fd);
        return all;
    }

  private:
    shared_counter file_;
};
/// In one write: what ran is noted, whatever happens to the worker afterwards.
inline void note_number(const std::string& path, int number) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    [[maybe_unused]] const auto written = ::write(fd, &number, sizeof(number));
    ::close(fd);
}

inline int remembered_value = 0;
inline void remember(int value) { remembered_value += value; }
inline int remembered(int plus) { return remembered_value + plus; }
inline void throw_in_initializer() { throw std::runtime_error{"no licence"}; }

/// Waits until so many workers are past their initialiser; the launcher's limit is what ends a failure.
inline std::size_t ready_workers(const plait::process_pool& pool, std::size_t wanted) {
    for (;;) {
        std::size_t ready = 0;
        for (const auto& w : pool.status()) ready += w.ready ? std::size_t{1} : std::size_t{0};
        if (ready >= wanted) return ready;
        std::this_thread::yield();
    }
}

} // namespace process_tasks
