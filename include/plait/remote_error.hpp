// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

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
/// Only the task that the worker held gets it, and only when its `.retries` are used up. The pool has
/// replaced the worker.
class [[gnu::visibility("default")]] worker_lost : public std::runtime_error {
  public:
    struct details {
        int pid = 0;
        unsigned worker = 0;
        int signal = 0;         ///< that killed it; 0: it ended by itself
        int status = 0;         ///< its exit status if it ended by itself; -1: not known
        std::uint64_t task = 0; ///< number of the task that it held
        std::string function;   ///< its name; may be empty
        int attempts = 1;       ///< how often the task was begun
        std::string reason;     ///< what plait knows beyond the status; may be empty
    };
    explicit worker_lost(details d);

    int pid() const noexcept { return details_.pid; }
    unsigned worker() const noexcept { return details_.worker; }
    int signal() const noexcept { return details_.signal; }
    int status() const noexcept { return details_.status; }
    std::uint64_t task() const noexcept { return details_.task; }
    const std::string& function() const noexcept { return details_.function; }
    int attempts() const noexcept { return details_.attempts; }

  private:
    details details_;
};

} // namespace plait
