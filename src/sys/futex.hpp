// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

namespace plait::detail {

/// Who may wait on the word: threads of this process, or everybody who maps the memory.
enum class futex_scope : bool { process_private, shared };

enum class futex_result : unsigned char {
    woken,     ///< by a wake or spuriously (a signal): look at the word again
    changed,   ///< the word did not hold `expected`
    timed_out, ///< the deadline passed
};

/// Nanoseconds of CLOCK_MONOTONIC (libstdc++'s steady_clock); `no_deadline` waits for ever.
inline constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

/// Sleeps while `*word == expected`, until woken or until the absolute `deadline`.
/// The load of the word is the kernel's: ordered after everything the caller did before, as a seq_cst load
/// would be.
futex_result futex_wait(const std::uint32_t* word, std::uint32_t expected,
                        std::int64_t deadline = no_deadline,
                        futex_scope scope = futex_scope::process_private) noexcept;

/// Wakes at most `count` waiters; returns how many. The word's memory need not exist any more (private
/// waiters may have gone): nothing is read, and an address that is not mapped wakes nobody.
int futex_wake(const std::uint32_t* word, int count = 1,
               futex_scope scope = futex_scope::process_private) noexcept;

inline int futex_wake_all(const std::uint32_t* word,
                          futex_scope scope = futex_scope::process_private) noexcept {
    return futex_wake(word, std::numeric_limits<int>::max(), scope);
}

/// The clock of the deadlines: CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::int64_t monotonic_now() noexcept;

} // namespace plait::detail
