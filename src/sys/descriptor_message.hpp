// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace plait::detail {

/// The most that the kernel takes with one message (SCM_MAX_FD). What has more sends them ahead through a
/// socket pair of their own, one end of which then travels with the message.
inline constexpr std::size_t most_descriptors_a_message = 253;

/// Sends one message of a message socket, `head` and `body`, with any number of descriptors; they stay the
/// caller's. 0, or an errno: EAGAIN if `wait` is false and there is no room; ETOOMANYREFS, ENOBUFS, ENOMEM:
/// the kernel has none for now (see is_full); EPIPE, ECONNRESET: nobody will read it. Never SIGPIPE.
[[nodiscard]] int send_parcel(int socket, std::span<const std::byte> head, std::span<const std::byte> body,
                              std::span<const int> descriptors, bool wait) noexcept;

struct parcel {
    std::size_t size = 0; // of head and body together
    bool ended = false;   // nothing more will come: the other side is closed everywhere
    int error = 0;        // EAGAIN if `wait` was false and nothing is there
    /// In the order in which they were sent. Empty ones: this process may not have more open files.
    std::vector<unique_fd> descriptors;
};

/// Receives one. `head` and then `body` are filled.
[[nodiscard]] parcel receive_parcel(int socket, std::span<std::byte> head, std::span<std::byte> body,
                                    bool wait) noexcept;

/// Is it only for now that the kernel does not take it? Descriptors on their way are counted per user, as
/// many as one process may have open; others may be at it.
[[nodiscard]] constexpr bool is_full(int error) noexcept {
    return error == EAGAIN || error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM;
}
/// Nanoseconds until it is worth another try, where nobody tells.
inline constexpr std::int64_t pause_when_full = 2'000'000;

} // namespace plait::detail
