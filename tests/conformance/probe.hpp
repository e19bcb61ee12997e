// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace conformance {

/// How tasks of any executor, processes too, meet the test that submitted them: a path, which is sendable,
/// with a gate to wait at, a bell to ring and a log to write on. No time is involved.
struct token {
    std::string directory;
};

/// Adds one mark to the log: what ran, and in which order.
inline void note(const token& t, char mark) {
    const int fd = ::open((t.directory + "/log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || ::write(fd, &mark, 1) != 1) std::abort();
    ::close(fd);
}

/// Tells the test that this task has begun.
inline void ring(const token& t) {
    const int fd = ::open((t.directory + "/bell").c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "!", 1) != 1) std::abort();
    ::close(fd);
}

/// Waits, blocking its thread, until the gate is open.
inline void pass(const token& t) {
    const int fd = ::open((t.directory + "/gate").c_str(), O_RDONLY | O_CLOEXEC);
    while (fd < 0 || ::flock(fd, LOCK_SH) != 0)
        if (fd < 0 || errno != EINTR) std::abort();
    ::close(fd);
}

/// A task: begins, waits at the gate, gives `value`.
inline int hold(const token& t, int value) {
    ring(t);
    pass(t);
    return value;
}

/// A task: leaves its mark.
inline int mark(const token& t, char what) {
    note(t, what);
    return what;
}

/// The test's side. The gate is shut at first; the end opens it.
class probe {
  public:
    probe() {
        std::string pattern = std::filesystem::temp_directory_path() / "plait-probe-XXXXXX";
        if (!::mkdtemp(pattern.data()))
            throw std::runtime_error{"probe: cannot make a directory from " + pattern};
        token_.directory = pattern;
        if (::mkfifo((pattern + "/bell").c_str(), 0600) != 0)
            throw std::runtime_error{"probe: cannot make the bell"};
        bell_ = ::open((pattern + "/bell").c_str(), O_RDWR | O_CLOEXEC); // both ends: opening never blocks
        gate_ = ::open((pattern + "/gate").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        std::ofstream{pattern + "/log"};
        shut();
    }
    probe(const probe&) = delete;
    probe& operator=(const probe&) = delete;
    ~probe() {
        ::close(gate_);
        ::close(bell_);
        std::error_code ignored;
        std::filesystem::remove_all(token_.directory, ignored);
    }

    operator const token&() const noexcept { return token_; }
    const token& at() const noexcept { return token_; }

    void shut() { ASSERT_EQ(::flock(gate_, LOCK_EX), 0); }
    void open() { ASSERT_EQ(::flock(gate_, LOCK_UN), 0); }

    /// Blocks until `n` tasks have rung.
    void wait_begun(int n) {
        char c = 0;
        for (; n > 0; --n)
            while (::read(bell_, &c, 1) != 1) {}
    }
    /// Has another one rung by now?
    bool another_begun() {
        pollfd p{bell_, POLLIN, 0};
        return ::poll(&p, 1, 0) == 1;
    }
    /// All marks so far, in order.
    std::string log() const {
        std::ifstream in{token_.directory + "/log"};
        std::ostringstream all;
        all << in.rdbuf();
        return all.str();
    }

  private:
    token token_;
    int bell_ = -1;
    int gate_ = -1;
};

/// Opens the gate when the scope ends, so that a failed assertion does not leave tasks at it. Made after the
/// executor.
class opener {
  public:
    explicit opener(probe& p) noexcept : probe_{p} {}
    opener(const opener&) = delete;
    opener& operator=(const opener&) = delete;
    ~opener() { probe_.open(); }

  private:
    probe& probe_;
};

/// Sanitizers make everything ten times slower: so many rounds of `n` there.
constexpr int scaled(int n) { return sanitized ? n / 20 : n; }

} // namespace conformance
