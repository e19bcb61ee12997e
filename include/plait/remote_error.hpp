// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <plait/detail/chrono.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace plait {

/// An exception that crossed a process border and is none of those that come back as themselves.
///
///     try { pool.submit(parse, text).get(); }
///     catch (const plait::remote_error& e) {
///         std::cerr << e.type() << ": " << e.what() << " in pid " << e.pid() << '\n';
///     }
///
/// As themselves come all of <stdexcept>, system_error, filesystem_error, ios_base::failure, future_error,
/// regex_error, the bad_* family, plait's own, and what `plait::register_exception<T>()` (serialize.hpp) was
/// called for. All others, types derived from these and `throw 42` included, become a remote_error. Causes
/// (std::nested_exception) are kept: walk them with std::rethrow_if_nested.
class [[gnu::visibility("default")]] remote_error : public std::runtime_error {
  public:
    struct details {
        std::string type;     ///< demangled name of the exception's type
        std::string message;  ///< its what(), or its value for int, const char* and std::string
        std::string function; ///< name of the task that threw it; may be empty
        int pid = 0;          ///< of the worker that it was thrown in
        unsigned worker = 0;
        std::uint64_t task = 0;
    };
    explicit remote_error(details d);

    const std::string& type() const noexcept { return details_.type; }
    const std::string& function() const noexcept { return details_.function; }
    int pid() const noexcept { return details_.pid; }
    unsigned worker() const noexcept { return details_.worker; }
    std::uint64_t task() const noexcept { return details_.task; }

  private:
    details details_;
};

/// The worker that held a task died: by a signal, or by ending the process.
///
///     try { save(pool.submit({.name = "resize"}, thumbnail, files[0]).get()); }
///     catch (const plait::worker_lost& lost) { std::cerr << lost.what() << '\n' << lost.stack(); }
///
/// `what()` is enough to begin with: "worker 2 (pid 4711) was killed by SIGSEGV at address 0x10 in task #123
/// 'resize' (attempt 1 of 1, 2.3 s, peak 812 MiB); top frames: scale(image&), thumbnail(path)". The stack is
/// the worker's own, noted by itself as it died, and named by the symbol tables of program and libraries: no
/// debugger, no core file. It is there after SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS,
/// unless the task has a handler of its own for the signal; after std::terminate the exception is named.
///
/// Only a task that the worker held gets it, and only when its `.retries` are used up: such a task is not
/// tried again. The pool has replaced the worker.
class [[gnu::visibility("default")]] worker_lost : public std::runtime_error {
  public:
    /// One place in the worker's stack.
    struct frame {
        std::string function;     ///< demangled; empty: no symbol covers the place
        std::uint64_t offset = 0; ///< from the function's begin
        std::string module;       ///< file; empty: machine code that belongs to none
        std::uint64_t place = 0;  ///< in the file: `addr2line -Cfe MODULE PLACE` gives the line
    };
    struct details {
        int pid = 0;
        unsigned worker = 0;
        int signal = 0;         ///< that killed it; 0: it ended by itself
        int status = 0;         ///< its exit status if it ended by itself; -1: not known
        std::uint64_t task = 0; ///< number of the task that it held
        std::string function;   ///< its name; may be empty
        int attempts = 1;       ///< how often the task was begun
        std::string reason;     ///< what plait knows beyond the status; may be empty
        int most_attempts = 1;  ///< how often it might be begun: `.retries` + 1
        std::string earlier;    ///< how its earlier attempts ended
        std::string thrown;     ///< what std::terminate was called for: "std::runtime_error: full"
        bool faulted = false;   ///< `address` is what the processor refused
        std::uint64_t address = 0;
        std::int64_t duration = 0;    ///< nanoseconds from the task's begin to the worker's end; 0: not known
        std::int64_t peak_memory = 0; ///< of the worker in its life, resident bytes; 0: not known
        std::vector<frame> frames;    ///< innermost first
        std::string output;           ///< what the task had printed
    };
    explicit worker_lost(details d);

    int pid() const noexcept { return details_.pid; }
    unsigned worker() const noexcept { return details_.worker; }
    int signal() const noexcept { return details_.signal; }
    int status() const noexcept { return details_.status; }
    std::uint64_t task() const noexcept { return details_.task; }
    const std::string& function() const noexcept { return details_.function; }
    int attempts() const noexcept { return details_.attempts; }
    const std::string& reason() const noexcept { return details_.reason; }

    /// What was read, written or run when the processor refused; empty if the signal was sent, or is not
    /// about an address.
    std::optional<std::uint64_t> address() const noexcept {
        return details_.faulted ? std::optional{details_.address} : std::nullopt;
    }
    /// The stack, innermost first; empty if the worker could not note it (SIGKILL, exit).
    const std::vector<frame>& frames() const noexcept { return details_.frames; }
    /// The same as text, one line a frame.
    std::string stack() const;
    /// Type and text of the exception that std::terminate was called for; empty if there was none.
    const std::string& thrown() const noexcept { return details_.thrown; }
    /// From the task's begin to the worker's end; zero if the worker held none.
    detail::nanoseconds duration() const noexcept { return detail::nanoseconds{details_.duration}; }
    /// The most that the worker has ever had resident, in bytes; 0: not known.
    std::int64_t peak_memory() const noexcept { return details_.peak_memory; }
    /// What the task had printed, where the pool captures that; as output_of.
    const std::string& output() const noexcept { return details_.output; }
    /// All of it, for what shows or sends it.
    const details& all() const noexcept { return details_; }

  private:
    details details_;
};

} // namespace plait
