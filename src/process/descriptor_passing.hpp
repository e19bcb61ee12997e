// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/descriptor_message.hpp"

#include <cstdint>
#include <plait/detail/bytes.hpp>

namespace plait::detail {

/// How long either side tries where the kernel takes no descriptors, in nanoseconds.
inline constexpr std::int64_t patience_with_post = 5'000'000'000;

/// The descriptors of one task's handles, or of its result's, as one message that says which task's they are. 0 or
/// an errno, as send_parcel.
[[nodiscard]] int pass_descriptors(int socket, std::uint64_t task, const descriptor_list& list,
                                   bool wait) noexcept;
/// 0, or an errno: no such message was there.
[[nodiscard]] int receive_descriptors(int socket, std::uint64_t& task, descriptor_list& into,
                                      bool wait) noexcept;

/// What receive_parcel brought, as handles take it.
[[nodiscard]] descriptor_list to_list(std::vector<unique_fd>&& received);
[[nodiscard]] std::vector<int> numbers_of(const descriptor_list& list);

/// The worker's end of its post.
class worker_post {
  public:
    explicit worker_post(int socket) noexcept;

    /// Is the number still the post's? A task may have closed what it found.
    bool is_ours() const noexcept;
    /// The message that the parent sends once it has seen the claim. False: it cannot come any more.
    bool receive(std::uint64_t task, descriptor_list& into) noexcept {
        std::uint64_t whose = 0;
        return receive_descriptors(socket_, whose, into, true) == 0 && whose == task;
    }
    /// Before `done`. Throws system_error if the kernel does not take them for 5 s.
    void send(std::uint64_t task, const descriptor_list& list);

  private:
    std::uint64_t cookie() const noexcept;
    int socket_;
    std::uint64_t cookie_;
};

} // namespace plait::detail
