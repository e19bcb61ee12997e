// SPDX-License-Identifier: Apache-2.0
#include <plait/process_channel.hpp>

#include "process/blocking.hpp"
#include "process/packet.hpp"
#include "sys/errors.hpp"
#include "sys/socket_pair.hpp"

#include <plait/detail/descriptor_wait.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>

// The queue is one message socket, shared by all who have its ends: the kernel appends and takes packets one
// by one, wakes who waits, and forgets whom it has to. Nothing about the queue is written by the processes
// that use it, so none can leave it half-written. What follows from that:
//   how many items   all packets are equal, so the bytes that the socket counts as unread, divided by what
//   one costs closed           shutdown(2) of the sending end, which holds for every process
//   room again       the socket's "writable" event, which comes with every packet that is taken. It is waited
//   for
//                    edge-triggered, since writable it is all the time; and only while at most a quarter of
//                    the buffer is in use does the kernel give it, so above that we look again by the clock.

namespace plait::detail {
namespace {

constexpr std::chrono::milliseconds look_again{2};

void check_open(const channel_end& end) {
    if (!end.socket)
        throw std::logic_error{"process_channel: this handle holds nothing: it was moved from or never made"};
}

std::size_t unread_bytes(const shared_descriptor& socket) noexcept {
    int bytes = 0;
    return ::ioctl(socket.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::size_t buffer_of(const shared_descriptor& socket) noexcept {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    return ::getsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &bytes, &size) == 0 && bytes > 0
               ? static_cast<std::size_t>(bytes)
               : 0;
}

/// As send_packet; EAGAIN also where the channel is full.
int send_once(const channel_end& end, pipe_message& m) {
    check_open(end);
    if (items_in(end) >= end.capacity && !is_closed(end)) return EAGAIN;
    return send_packet(end.socket, {}, m);
}

/// Something that is readable once an item has been taken, or the channel closed, since it was made.
class room_event {
  public:
    explicit room_event(const channel_end& end)
        : epoll_{above_stdio(unique_fd{::epoll_create1(EPOLL_CLOEXEC)})} {
        epoll_event event{};
        event.events = EPOLLOUT | EPOLLET;
        if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, end.socket.get(), &event) != 0)
            throw_errno("process_channel: epoll");
        ::epoll_wait(epoll_.get(), &event, 1, 0); // what is so already is no event
    }
    int descriptor() const noexcept { return epoll_.get(); }

  private:
    unique_fd epoll_;
};

bool is_told(const channel_end& end) noexcept {
    return unread_bytes(end.socket) * 4 <= buffer_of(end.socket);
}

} // namespace

process_channel_ends make_process_channel(std::size_t capacity) {
    constexpr std::size_t most = 256;
    if (capacity == 0 || capacity > most)
        throw std::invalid_argument{"process_channel: the capacity is " + std::to_string(capacity) +
                                    "; it must be from 1 to " + std::to_string(most)};
    pipe_ends ends = make_pipe_ends(false);
    process_channel_ends made;
    made.in.socket = std::move(ends.one);
    made.in.capacity = static_cast<std::uint32_t>(capacity);
    made.out = std::move(ends.other);
    // As large as it may be: then it tells of every item that is taken, see above. The kernel cuts it down.
    const int wanted = 1 << 20;
    ::setsockopt(made.in.socket.get(), SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
    pipe_message probe;
    probe.prepare(channel_room);
    if (send_packet(made.in.socket, {}, probe) != 0) throw_errno("process_channel: cannot send");
    const std::size_t cost = unread_bytes(made.in.socket);
    if (cost == 0) throw_errno("process_channel: cannot ask how much of the channel is unread");
    made.in.cost = static_cast<std::uint32_t>(cost);
    pipe_message back;
    if (receive_packet(made.out, {}, back) != pipe_result::done) // else it would count as an item for ever
        throw std::runtime_error{"process_channel: cannot receive"};
    const std::size_t bytes = buffer_of(made.in.socket);
    if (bytes == 0) throw_errno("process_channel: cannot ask how large the kernel's buffer is");
    const std::size_t room = bytes / made.in.cost;
    if (capacity > room)
        throw std::invalid_argument{"process_channel: the capacity is " + std::to_string(capacity) +
                                    ", but the kernel's buffer has room for " + std::to_string(room) +
                                    " items; raise net.core.wmem_max"};
    return made;
}

void close_channel(const channel_end& end) noexcept {
    if (end.socket) ::shutdown(end.socket.get(), SHUT_WR);
}

bool is_closed(const channel_end& end) noexcept {
    if (!end.socket) return true;
    // POLLHUP: both directions are shut down; the other one has been from the start.
    pollfd entry{end.socket.get(), 0, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0;
}

std::size_t items_in(const channel_end& end) noexcept {
    return end.socket ? unread_bytes(end.socket) / end.cost : 0;
}

void save_end(byte_writer& out, const channel_end& end) {
    out.put(end.capacity);
    out.put(end.cost);
    put_descriptor(out, end.socket);
}

channel_end load_end(byte_reader& in) {
    channel_end end;
    end.capacity = in.take<std::uint32_t>();
    end.cost = std::max<std::uint32_t>(1, in.take<std::uint32_t>());
    end.socket = take_descriptor(in);
    return end;
}

pipe_result send_now(const channel_end& end, pipe_message& m) {
    const int error = send_once(end, m);
    return error == 0 ? pipe_result::done : error == EPIPE ? pipe_result::closed : pipe_result::nothing;
}

pipe_result send_until(const channel_end& end, pipe_message& m, time_point deadline) {
    refuse_to_block("process_channel.send_blocking", "send(...)");
    const time_point give_up_at = std::chrono::steady_clock::now() + patience_for_room;
    std::optional<room_event> room;
    for (;;) {
        const int error = send_once(end, m);
        if (error == 0) return pipe_result::done;
        if (error == EPIPE) return pipe_result::closed;
        const time_point now = std::chrono::steady_clock::now();
        if (now >= deadline) return pipe_result::nothing;
        if (error != EAGAIN) {
            if (now >= give_up_at) throw_no_room(error);
            nap_for_room();
        } else if (!room) {
            room.emplace(end); // and look again: an item may have been taken before it was there
        } else {
            pollfd entry{room->descriptor(), POLLIN, 0};
            const bool told = is_told(end);
            poll_until(std::span{&entry, 1}, told ? deadline : std::min(deadline, now + look_again));
            room.emplace(end);
        }
    }
}

task<void> send_message(channel_end end, pipe_message m) {
    if (!may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    const time_point give_up_at = std::chrono::steady_clock::now() + patience_for_room;
    std::optional<room_event> room;
    for (;;) {
        const int error = send_once(end, m);
        if (error == 0) co_return;
        if (error == EPIPE) throw_pipe_closed();
        if (error != EAGAIN) {
            if (std::chrono::steady_clock::now() >= give_up_at) throw_no_room(error);
            co_await plait::sleep_for(pause_for_room);
        } else if (!room) {
            room.emplace(end);
        } else {
            const awaited_descriptor event{room->descriptor(), false};
            if (is_told(end))
                co_await descriptor_wait{std::span{&event, 1}, "process_channel.send"};
            else
                co_await plait::sleep_for(look_again);
            room.emplace(end);
        }
    }
}

} // namespace plait::detail
