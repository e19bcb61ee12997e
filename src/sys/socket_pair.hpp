// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace plait::detail {

struct socket_pair {
    unique_fd near;
    unique_fd far;
};

/// Two connected sockets that keep message borders; both closed by exec and numbered 3 or above, so that a
/// program started without stdin, stdout or stderr does not get its own channel in their place.
[[nodiscard]] socket_pair make_message_pair();
/// The same for bytes.
[[nodiscard]] socket_pair make_stream_pair();

/// The most descriptors that one message carries.
inline constexpr std::size_t max_passed_descriptors = 5;

/// Sends one message with descriptors; they stay the caller's. 0, or an errno (EPIPE: the peer is gone).
/// Never SIGPIPE.
[[nodiscard]] int send_message(int socket, std::span<const std::byte> bytes,
                               std::span<const int> descriptors = {}) noexcept;

struct received_message {
    std::size_t size = 0; // 0 without an error: the peer has closed
    int error = 0;        // EAGAIN if `wait` was false and nothing is there
    std::array<unique_fd, max_passed_descriptors> descriptors;
};

/// Receives one message. What does not fit the buffer is reported as EMSGSIZE; EMFILE: the message is there,
/// but descriptors of it are not, since this process may not have more.
[[nodiscard]] received_message receive_message(int socket, std::span<std::byte> buffer, bool wait) noexcept;

} // namespace plait::detail
