// SPDX-License-Identifier: Apache-2.0
#include "strand/io_stream.hpp"
#include "sys/errors.hpp"

#include <cerrno>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait::detail {

bool transfer::withdraw() noexcept {
    if (!pending()) return false; // and the stream may be gone
    const spin_guard guard{stream_->word()};
    return withdraw_pending();
}

void transfer::unlink() noexcept { stream_->place_of(*this) = nullptr; }

void transfer::give_back() noexcept {
    holds_ = false;
    stream_->release_owner();
}

void transfer::fail() {
    if (!over()) {
        if (holds_) give_back();
        throw cancelled{};
    }
    throw_error();
}

void transfer::finish_quietly() {
    if (holds_) give_back();
    if (!over()) throw cancelled{};
    if (error_ == stream::no_task) running_scope();
}

void transfer::throw_error() {
    struct giver {
        transfer& t;
        ~giver() {
            if (t.holds_) t.give_back();
        }
    } const give_back{*this};
    if (error_ == stream::no_task) running_scope(); // throws
    const bool reading = !writes();
    const std::string attempted = reading ? "socket: cannot read from " : "socket: cannot write to ";
    switch (error_) {
    case stream::closed_here:
        throw closed_error{std::string{reading ? "socket: cannot read" : "socket: cannot write"} +
                           ": this side has closed it"};
    case stream::not_a_socket:
        throw std::logic_error{"socket: read or write on one that holds no connection (moved from, or never "
                               "connected)"};
    case stream::two_at_once:
        throw std::logic_error{std::string{"socket: two tasks "} + (reading ? "read from" : "write to") +
                               " it at the same time; let one task do it, or guard it by an async_mutex"};
    case stream::ended_early:
        throw closed_error{attempted + stream_->peer() + ": it ended after " + std::to_string(done_) +
                           " of " + std::to_string(size_) + " bytes"};
    case EPIPE:
    case ECONNRESET:
        throw closed_error{attempted + stream_->peer() + ": " + errno_text(error_)};
    default:
        throw_errno(error_, attempted + stream_->peer());
    }
}

} // namespace plait::detail
