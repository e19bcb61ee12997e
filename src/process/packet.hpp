// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/descriptor_message.hpp"

#include <chrono>
#include <cstddef>
#include <poll.h>
#include <span>

#include <plait/detail/pipe_core.hpp>

namespace plait::detail {

// One message is one packet of a SOCK_SEQPACKET pair: the kernel keeps it whole whoever sends or dies, wakes
// who waits, and knows the end. What is larger than a packet lies in a memfd that the packet brings; the
// packet is then filled up with ballast, so that the socket's buffer bounds how many such messages lie there
// unread.

inline constexpr std::size_t largest_packet = pipe_room.most;
/// What may stand before the message, for who sends it.
inline constexpr std::size_t largest_label = 32;

/// 0: sent. EAGAIN, or another errno that passes by itself (is_full); EPIPE: the other end is closed. Throws
/// the rest.
[[nodiscard]] int send_packet(const shared_descriptor& socket, std::span<const std::byte> label,
                              pipe_message& m);
/// `label` is filled. Throws what is wrong with this message, which is then lost, or with the socket.
[[nodiscard]] pipe_result receive_packet(const shared_descriptor& socket, std::span<std::byte> label,
                                         pipe_message& m);

/// As it arrives, with `in_memory` bytes in its last descriptor's memory (0: none): maps them.
void open_large(pipe_message& m, std::uint64_t in_memory);

/// Where the kernel has no room for descriptors, nobody tells when it has: look again after a pause, for so
/// long.
inline constexpr std::chrono::milliseconds pause_for_room{2};
inline constexpr std::chrono::seconds patience_for_room{5};
[[noreturn]] void throw_no_room(int error);
void nap_for_room() noexcept;

/// Waits in this thread; false: the deadline has passed.
bool poll_until(std::span<pollfd> entries, time_point deadline);

} // namespace plait::detail
