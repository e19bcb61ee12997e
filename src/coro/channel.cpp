// SPDX-License-Identifier: Apache-2.0
#include <plait/channel.hpp>

#include <plait/detail/select.hpp>
#include <plait/errors.hpp>
#include <stdexcept>
#include <string>

namespace plait::detail {

void throw_channel_closed() {
    throw closed_error{"channel: cannot send: it is closed, or its last receiver has gone; the item is still "
                       "the caller's"};
}
void throw_channel_capacity(std::size_t capacity) {
    if (capacity == 0)
        throw std::invalid_argument{
            "channel: the capacity is 0, so nothing could ever be sent; give at least 1"};
    throw std::invalid_argument{"channel: the capacity is " + std::to_string(capacity) +
                                ", more than the 2^29 that there can be; a channel is for backpressure"};
}
void throw_receive_many_none() {
    throw std::invalid_argument{"channel: receive_many of at most 0 items would look like the end; give at "
                                "least 1"};
}

std::size_t next_select_turn() noexcept {
    static thread_local std::size_t turn = 0;
    return turn++;
}

} // namespace plait::detail
