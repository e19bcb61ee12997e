// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>

namespace plait::detail {

inline constexpr const char* helper_variable = "PLAIT_HELPER";
inline constexpr std::size_t token_size = 32; ///< hexadecimal digits

/// What parent and helper say to each other over their message socket. Same binary, same build: plain
/// structs.
struct helper_request {
    /// With `fork` come descriptors: the lane's memory, the bell, the worker's end of its lifeline, and what
    /// its stdout and stderr become, unless they are the program's.
    /// With `helper` comes the channel of one more helper, which the answer has the handle of.
    enum class kind : std::uint32_t { hello, fork, helper };
    kind what = kind::hello;
    std::uint32_t worker = 0;             ///< its number in the pool
    std::uint64_t incarnation = 0;        ///< which of all workers that the pool ever had
    std::array<char, token_size> token{}; ///< of hello
};
/// Descriptors of `fork`: the lane's memory, the bell, the worker's ends of its lifeline and of its post; with
/// captured output one more.
inline constexpr std::size_t fork_descriptors = 4;

struct helper_reply {
    enum class kind : std::uint32_t { ready, forked, fork_failed, exited };
    kind what = kind::ready;
    pid_t pid = 0;
    std::uint64_t incarnation = 0;
    int error = 0;                ///< of fork_failed
    int code = 0;                 ///< of exited: si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED)
    int status = 0;               ///< of exited: exit status or signal
    std::int64_t peak_memory = 0; ///< of exited: bytes
};

/// The helper's life, in the process that `spawn_self` started. Never returns.
[[noreturn]] void run_helper(int channel, const std::array<char, token_size>& token);

/// What C and C++ have buffered for stdout and stderr goes out.
void flush_standard_streams() noexcept;

/// Ends a helper or worker: stdio flushed and coverage written, but no static destructors and no atexit
/// handlers, which belong to the program and would run once per worker.
[[noreturn]] void leave_process(int status) noexcept;

} // namespace plait::detail
