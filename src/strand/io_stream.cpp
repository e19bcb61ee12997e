// SPDX-License-Identifier: Apache-2.0
#include "strand/io_stream.hpp"

#include "strand/io_address.hpp"
#include "sys/errors.hpp"
#include "sys/transfer.hpp"

#include <cerrno>
#include <new>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>

namespace plait::detail {
namespace {

const char* waits_for(transfer::kind k) noexcept {
    switch (k) {
    case transfer::kind::read:
    case transfer::kind::read_exactly:
        return "socket read";
    case transfer::kind::accept:
        return "accept";
    case transfer::kind::write:
    case transfer::kind::write_all:
        return "socket write";
    case transfer::kind::connect:
        return "connect";
    }
    return "socket";
}

} // namespace

int stream::attach(worker& home) noexcept {
    if (!fd_) return 0;
    loop_engine* at = nullptr;
    registration* fresh = nullptr;
    bool moves = false;
    try {
        at = static_cast<loop_engine*>(&home.keeper()); // every keeper is a loop
        if (loop_ == at) home_ = &home;
        if (loop_ == at || reader_ || writer_) return 0;
        moves = loop_ != nullptr;
        detach(); // from a loop that may be gone by now, as after one `run` and before the next
        fresh = new registration{*this};
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    } catch (const std::system_error& none) {
        return none.code().value();
    }
    loop_engine& keeper = *at;
    if (const int error = keeper.try_watch(fd_.get(), *fresh)) {
        delete fresh;
        return error;
    }
    add_owner();
    keeper.add_owner();
    home_ = &home;
    loop_ = &keeper;
    registered_ = fresh;
    if (moves) flags_ |= readable | writable; // what the loop before has not told us yet
    return 0;
}

// Under the lock. The caller owns a share: this is not the end of the stream.
void stream::detach() noexcept {
    if (!loop_) return;
    home_ = nullptr;
    loop_engine& watching = *std::exchange(loop_, nullptr);
    watching.unwatch(fd_.get());
    watching.retire(*std::exchange(registered_, nullptr));
    watching.release_owner();
}

bool stream::attempt(transfer& t) noexcept {
    if (!fd_) {
        t.error_ = closed_here;
        return true;
    }
    if (place_of(t) && place_of(t) != &t) {
        t.error_ = two_at_once;
        return true;
    }
    switch (t.kind_) {
    case transfer::kind::read:
    case transfer::kind::read_exactly:
        return move<true>(t);
    case transfer::kind::write:
    case transfer::kind::write_all:
        return move<false>(t);
    case transfer::kind::accept:
        return accept_one(t);
    case transfer::kind::connect:
        break;
    }
    if (!(flags_ & writable)) return false;
    socklen_t size = sizeof t.error_;
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &t.error_, &size) != 0) t.error_ = errno;
    return true;
}

template <bool Reading>
bool stream::move(transfer& t) noexcept {
    constexpr unsigned flag = Reading ? readable : writable;
    const bool whole = t.kind_ == (Reading ? transfer::kind::read_exactly : transfer::kind::write_all);
    if (t.size_ == 0) return true;
    while (flags_ & flag) {
        std::byte* const at = t.data_ + t.done_;
        const std::size_t room = t.size_ - t.done_;
        const long n = Reading ? receive_now(fd_.get(), at, room) : send_now(fd_.get(), at, room);
        if (n > 0) {
            t.done_ += static_cast<std::size_t>(n);
            if (t.done_ == t.size_) return true;
            // Less than asked for: it is used up. Not so when the end was seen in the same event: it gives no
            // second edge.
            if (!Reading || !(flags_ & ended)) flags_ &= ~flag;
            if (!whole) return true;
        } else if (n == 0) {
            if (whole) t.error_ = ended_early;
            return true;
        } else if (n == -EAGAIN) {
            flags_ &= ~flag;
        } else if (n != -EINTR) {
            t.error_ = static_cast<int>(-n);
            return true;
        }
    }
    return false;
}

bool stream::accept_one(transfer& t) noexcept {
    while (flags_ & readable) {
        const int fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            t.done_ = static_cast<std::size_t>(fd);
            return true;
        }
        switch (errno) {
        case EAGAIN:
            flags_ &= ~readable;
            break;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
        case EFAULT:
            t.error_ = errno;
            return true;
        default:
            break; // of the connection, which is gone: the next one (accept(2) lists them)
        }
    }
    return false;
}

void stream::ready(std::uint32_t events) noexcept {
    transfer* over[2] = {nullptr, nullptr};
    {
        const spin_guard guard{lock_};
        if (!fd_) return; // closed since this batch was fetched
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) flags_ |= ended | readable;
        if (events & (EPOLLHUP | EPOLLERR)) flags_ |= writable;
        if (events & EPOLLIN) flags_ |= readable;
        if (events & EPOLLOUT) flags_ |= writable;
        if (reader_ && attempt(*reader_)) over[0] = end(reader_, reader_->error_);
        if (writer_ && attempt(*writer_)) over[1] = end(writer_, writer_->error_);
    }
    for (transfer* t : over)
        if (t) t->post();
}

// Under the lock, so no canceller can have been first: it would have unlinked it.
transfer* stream::end(transfer*& place, int error) noexcept {
    transfer* t = std::exchange(place, nullptr);
    if (!t) return nullptr;
    t->error_ = error;
    t->over_ = true;
    return t->complete() ? t : nullptr;
}

void stream::close() noexcept {
    transfer* over[2] = {nullptr, nullptr};
    {
        const spin_guard guard{lock_};
        if (!fd_) return;
        over[0] = end(reader_, closed_here);
        over[1] = end(writer_, closed_here);
        detach();
        fd_.reset();
        flags_ |= readable | writable; // whoever asks is told at once
    }
    for (transfer* t : over)
        if (t) t->post();
}

std::string stream::peer() noexcept {
    const spin_guard guard{lock_};
    return peer_text(fd_.get());
}

bool transfer::await_ready() {
    execution& e = current();
    context& scope = e.scope ? *e.scope : running_scope();
    scope.check();
    if (!stream_) {
        error_ = stream::not_a_socket;
        return over_ = true;
    }
    {
        const spin_guard guard{stream_->lock()};
        error_ = stream_->attached(*scope.home);
        if (error_ == 0 && stream_->idle_for(*this)) return false;
        over_ = error_ != 0 || stream_->attempt(*this);
    }
    return over_ && e.budget != 0 && e.budget-- != 0; // as spend_budget()
}

bool transfer::await_suspend(std::coroutine_handle<> h) noexcept {
    if (!arm(h, waits_for(kind_))) return false;
    if (over_) {
        // The task has had its share of awaits that need not wait: to the back of the queue, the result in
        // hand.
        if (!complete_at_once()) return settle();
        post();
        return true;
    }
    stream_->add_owner();
    holds_ = true;
    {
        const spin_guard guard{stream_->lock()};
        transfer*& place = stream_->place_of(*this);
        // An event may have come meanwhile, or another reader.
        if (place || !stream_->idle_for(*this)) over_ = stream_->attempt(*this);
        if (!over_ && pend()) {
            place = this;
            return true; // from the unlocking on the task may run elsewhere
        }
    }
    if (over_) complete_at_once();
    return settle();
}

bool transfer::withdraw() noexcept {
    const spin_guard guard{stream_->lock()}; // our share keeps it alive
    return waiter::withdraw();
}

void transfer::unlink() noexcept { stream_->place_of(*this) = nullptr; }

void transfer::give_back() noexcept {
    holds_ = false;
    stream_->release_owner();
}

void transfer::fail() {
    if (!over_) {
        let_go();
        throw cancelled{};
    }
    throw_error();
}

void transfer::finish_quietly() {
    let_go();
    if (!over_) throw cancelled{};
}

void transfer::throw_error() {
    struct giver {
        transfer& t;
        ~giver() { t.let_go(); }
    } const give_back{*this};
    const bool reading = reads();
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
