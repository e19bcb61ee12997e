// SPDX-License-Identifier: Apache-2.0
#include "strand/io_stream.hpp"

#include "strand/io_address.hpp"
#include "sys/transfer.hpp"

#include <array>
#include <cerrno>
#include <new>
#include <sys/socket.h>
#include <system_error>

namespace plait::detail {
namespace {

// By kind.
constexpr std::array<const char*, 7> waits_for{"socket read",  "socket read",  "accept", nullptr,
                                               "socket write", "socket write", "connect"};

} // namespace

int stream::attach(worker& home) noexcept {
    if (!fd_) return 0;
    loop_engine* at = nullptr;
    registration* fresh = nullptr;
    bool moves = false;
    try {
        at = static_cast<loop_engine*>(&home.keeper()); // every keeper is a loop
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
    loop_ = &keeper;
    home_ = loop_ == &home ? loop_ : nullptr;
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

// A short read means that it is used up. Not so when the end was seen in the same event: it gives no second
// edge.
inline void stream::received(transfer& t, std::size_t n) noexcept {
    t.done_ = n;
    if (n != t.size_ && !(flags_ & ended)) flags_ &= ~readable;
    t.error_ = 0;
}

inline bool stream::receive(transfer& t) noexcept {
    if (!(flags_ & readable)) return false;
    const long n = receive_now(fd_.get(), t.data_ + t.done_, t.size_ - t.done_);
    if (n <= 0 || t.whole()) [[unlikely]]
        return move_on(t, n);
    received(t, static_cast<std::size_t>(n));
    return true;
}

inline bool stream::send(transfer& t) noexcept {
    if (!(flags_ & writable)) return false;
    const std::size_t room = t.size_ - t.done_;
    const long n = send_now(fd_.get(), t.data_ + t.done_, room);
    if (n != static_cast<long>(room) || n == 0) [[unlikely]]
        return move_on(t, n);
    t.done_ = t.size_;
    t.error_ = 0;
    return true;
}

// After a call that was not the first and last.
bool stream::move_on(transfer& t, long moved) noexcept {
    const unsigned flag = t.writes() ? writable : readable;
    for (;;) {
        if (moved > 0) {
            t.done_ += static_cast<std::size_t>(moved);
            const bool all = t.done_ == t.size_;
            if (!all && (t.writes() || !(flags_ & ended))) flags_ &= ~flag;
            if (all || !t.whole()) break;
            if (!(flags_ & flag)) return false;
        } else if (moved == -EAGAIN) {
            flags_ &= ~flag;
            return false;
        } else if (!fd_) {
            t.error_ = closed_here;
            return true;
        } else if (t.size_ == 0) {
            break; // nothing asked for, whatever the kernel says to that
        } else if (moved == 0) {
            t.error_ = t.whole() ? ended_early : 0;
            return true;
        } else if (moved != -EINTR) {
            t.error_ = static_cast<int>(-moved);
            return true;
        }
        const std::size_t done = t.done_;
        moved = t.writes() ? send_now(fd_.get(), t.data_ + done, t.size_ - done)
                           : receive_now(fd_.get(), t.data_ + done, t.size_ - done);
    }
    t.error_ = 0;
    return true;
}

bool stream::see_connected(transfer& t) noexcept {
    if (!(flags_ & writable)) return false;
    socklen_t size = sizeof t.error_;
    if (!fd_)
        t.error_ = closed_here;
    else if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &t.error_, &size) != 0)
        t.error_ = errno;
    return true;
}

inline bool stream::attempt_reading(transfer& t) noexcept {
    return t.kind_ == transfer::kind::accept ? accept_one(t) : receive(t);
}

bool stream::attempt_writing(transfer& t) noexcept {
    return t.kind_ == transfer::kind::connect ? see_connected(t) : send(t);
}

bool stream::accept_one(transfer& t) noexcept {
    while (flags_ & readable) {
        const int fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            t.done_ = static_cast<std::size_t>(fd);
            t.error_ = 0;
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
            t.error_ = fd_ ? errno : closed_here;
            return true;
        default:
            break; // of the connection, which is gone: the next one (accept(2) lists them)
        }
    }
    return false;
}

// What is over is resumed at once rather than queued, so that a peer has its answer before the next one's
// question is read. First the case of a task that waits to read, and finds something.
void stream::ready(std::uint32_t events) noexcept {
    constexpr std::uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if (!try_lock()) [[unlikely]]
        return sort_out(events);
    transfer* const t = reader_;
    if ((events & (EPOLLIN | ends)) != EPOLLIN || writer_ || !t || t->kind_ != transfer::kind::read)
        [[unlikely]] {
        unlock();
        return sort_out(events);
    }
    flags_ |= events & (readable | writable);
    const long n = receive_now(fd_.get(), t->data_, t->size_);
    if (n <= 0) [[unlikely]]
        return have_moved(*t, n);
    received(*t, static_cast<std::size_t>(n));
    hand_over(*t, reader_);
}

// Under the lock, which it gives back: after a call for `t` that moved nothing.
[[gnu::noinline]] void stream::have_moved(transfer& t, long n) noexcept {
    if (move_on(t, n)) return hand_over(t, reader_);
    unlock();
}

// Under the lock, which it gives back: `t` is over, and is resumed. This may be gone then.
inline void stream::hand_over(transfer& t, transfer*& place) noexcept {
    place = nullptr;
    t.complete_pending();
    unlock();
    if (worker* const loop = t.bound()) [[likely]]
        static_cast<loop_engine*>(loop)->resume_now(t);
    else
        t.post();
}

[[gnu::noinline]] void stream::sort_out(std::uint32_t events) noexcept {
    lock();
    flags_ |= events & (readable | writable);
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) flags_ |= ended | readable;
    if (events & (EPOLLHUP | EPOLLERR)) flags_ |= writable;
    transfer* const reader = reader_ && attempt_reading(*reader_) ? reader_ : nullptr;
    transfer* const writer = writer_ && attempt_writing(*writer_) ? writer_ : nullptr;
    if (!reader || !writer) {
        if (reader) return hand_over(*reader, reader_);
        if (writer) return hand_over(*writer, writer_);
        return unlock();
    }
    // Not at once: the first may drive the loop until the second has gone on.
    reader_ = writer_ = nullptr;
    reader->complete_pending();
    writer->complete_pending();
    unlock();
    reader->post();
    writer->post();
}

void stream::close() noexcept {
    transfer* over[2] = {nullptr, nullptr};
    {
        const spin_guard guard{lock_};
        if (!fd_) return;
        over[0] = close_on(reader_);
        over[1] = close_on(writer_);
        detach();
        fd_.reset();
        flags_ |= readable | writable; // whoever asks is told at once
    }
    for (transfer* t : over)
        if (t) t->post();
}

// Under the lock, so no canceller can have been first: it would have unlinked it. But one may be on its way.
transfer* stream::close_on(transfer*& place) noexcept {
    transfer* const t = std::exchange(place, nullptr);
    if (!t) return nullptr;
    if (!std::exchange(t->holds_, true)) add_owner();
    t->error_ = closed_here;
    t->complete_pending();
    return t;
}

std::string stream::peer() noexcept {
    const spin_guard guard{lock_};
    return peer_text(fd_.get());
}

// The scope's own flag decides: a canceller that comes later finds it linked.
inline bool stream::link(transfer& t, context& scope, std::coroutine_handle<> h) noexcept {
    const bool here = home_ == scope.home;
    if (!t.arm_pending(scope, h, waits_for[static_cast<std::size_t>(t.kind_)], here ? loop_ : nullptr))
        return false;
    place_of(t) = &t;
    if (!here) {
        t.holds_ = true;
        add_owner();
    }
    return true;
}

// Under the lock, which it gives back: how await_suspend ends after an attempt. The result is in hand, or the
// scope is stopped: false; the task waits, and may run elsewhere already: true.
bool stream::conclude(transfer& t, bool over, std::coroutine_handle<> h) noexcept {
    execution& e = current();
    if (!over && t.size_ != 0) {
        const bool waits = link(t, *e.scope, h);
        unlock();
        return waits;
    }
    if (!over) t.error_ = 0; // nothing was asked for
    if (e.budget != 0) {
        --e.budget;
        unlock();
        return false;
    }
    // The task has had its share of awaits that need not wait: to the back of the queue, the result in hand.
    const bool gives_way = t.arm_done(*e.scope, h, waits_for[static_cast<std::size_t>(t.kind_)]);
    unlock();
    if (gives_way) t.post();
    return gives_way;
}

template <stream::attempt Attempt>
[[gnu::noinline]] bool stream::begin(transfer& t, std::coroutine_handle<> h) noexcept {
    context* const scope = task_scope(current());
    stream* const self = t.stream_;
    if (!scope || !self) {
        t.error_ = scope ? not_a_socket : no_task;
        return false;
    }
    if (scope->stopped()) return false;
    self->lock();
    const int error = self->home_ == scope->home ? 0 : self->attach(*scope->home);
    if (error != 0 || self->place_of(t)) {
        t.error_ = error != 0 ? error : two_at_once;
        return self->conclude(t, true, h);
    }
    return self->conclude(t, (self->*Attempt)(t), h);
}

// The same, after a call that was not all.
[[gnu::noinline]] bool stream::end_moving(transfer& t, long n) noexcept {
    ++current().budget;
    return t.stream_->conclude(t, t.stream_->move_on(t, n), t.noted());
}

// begin(), for what happens at each message: without a call, and with few registers. What is needed after the
// system call is read again.
template <bool Reading>
inline bool stream::move_or_wait(transfer& t, std::coroutine_handle<> h) noexcept {
    constexpr attempt attempted = Reading ? &stream::receive : &stream::send;
    execution& e = current();
    context* const scope = e.scope;
    stream* const self = t.stream_;
    if (!scope) [[unlikely]]
        return begin<attempted>(t, h);
    if (!self) [[unlikely]]
        return begin<attempted>(t, h);
    if (scope->stopped() || !self->try_lock()) [[unlikely]]
        return begin<attempted>(t, h);
    transfer*& place = Reading ? self->reader_ : self->writer_;
    if (self->home_ != scope->home || place) [[unlikely]] {
        self->unlock();
        return begin<attempted>(t, h);
    }
    if (self->flags_ & (Reading ? readable : writable)) {
        if (e.budget == 0) [[unlikely]] {
            self->unlock();
            return begin<attempted>(t, h);
        }
        --e.budget;
        t.note(h);
        const std::size_t size = t.size_;
        const long n =
            Reading ? receive_now(self->fd_.get(), t.data_, size) : send_now(self->fd_.get(), t.data_, size);
        if (n <= 0 || (Reading ? t.whole() : n != static_cast<long>(size))) [[unlikely]]
            return end_moving(t, n);
        if constexpr (Reading) {
            t.stream_->received(t, static_cast<std::size_t>(n));
        } else {
            t.done_ = static_cast<std::size_t>(n);
            t.error_ = 0;
        }
        t.stream_->unlock();
        return false;
    }
    if (t.size_ == 0) [[unlikely]] {
        self->unlock();
        return begin<attempted>(t, h);
    }
    const bool waits = t.arm_pending(*scope, h, Reading ? "socket read" : "socket write", self->loop_);
    if (waits) [[likely]]
        place = &t;
    self->unlock();
    return waits;
}

bool transfer::read_or_wait(std::coroutine_handle<> h) noexcept {
    return stream::move_or_wait<true>(*this, h);
}
bool transfer::write_or_wait(std::coroutine_handle<> h) noexcept {
    return stream::move_or_wait<false>(*this, h);
}
bool transfer::accept_or_wait(std::coroutine_handle<> h) noexcept {
    return stream::begin<&stream::accept_one>(*this, h);
}
bool transfer::connect_or_wait(std::coroutine_handle<> h) noexcept {
    return stream::begin<&stream::see_connected>(*this, h);
}

} // namespace plait::detail
