// SPDX-License-Identifier: Apache-2.0
#include <plait/pipe.hpp>

#include "process/blocking.hpp"
#include "process/packet.hpp"
#include "sys/errors.hpp"
#include "sys/socket_pair.hpp"

#include <plait/detail/descriptor_wait.hpp>
#include <plait/detail/select.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>

namespace plait::detail {
namespace {

void check_open(const shared_descriptor& socket) {
    if (!socket)
        throw std::logic_error{"pipe: this end holds nothing: it was closed, moved from or never made"};
}

/// As send_packet.
int send_once(const shared_descriptor& socket, pipe_message& m) {
    check_open(socket);
    return send_packet(socket, {}, m);
}

std::vector<pollfd> entries_of(std::span<const shared_descriptor> sockets) {
    if (sockets.empty()) throw std::invalid_argument{"select: no pipes to wait for"};
    std::vector<pollfd> entries;
    entries.reserve(sockets.size());
    for (const shared_descriptor& s : sockets) {
        check_open(s);
        entries.push_back({s.get(), POLLIN, 0});
    }
    return entries;
}

/// The next one in turn that something was seen at; their number: none.
std::size_t pick(std::span<const pollfd> entries) noexcept {
    const std::size_t first = next_select_turn();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::size_t at = (first + i) % entries.size();
        if (entries[at].revents != 0) return at;
    }
    return entries.size();
}

} // namespace

pipe_ends make_pipe_ends(bool duplex) {
    socket_pair pair = make_message_pair();
    // The receiver's end can't send: so the sender's never holds anything.
    if (!duplex && ::shutdown(pair.near.get(), SHUT_RD) != 0) throw_errno("pipe: shutdown");
    shared_descriptor one{pair.near.release()};
    return {std::move(one), shared_descriptor{pair.far.release()}};
}

void throw_pipe_closed() {
    throw closed_error{"pipe: cannot send: the other end is closed, or its process has ended"};
}

void throw_receive_none() {
    throw std::invalid_argument{
        "pipe: receive_many of at most 0 messages would look like the end; give at least 1"};
}

pipe_result send_now(const shared_descriptor& socket, pipe_message& m) {
    const int error = send_once(socket, m);
    return error == 0 ? pipe_result::done : error == EPIPE ? pipe_result::closed : pipe_result::nothing;
}

pipe_result send_until(const shared_descriptor& socket, pipe_message& m, time_point deadline) {
    refuse_to_block("pipe.send_blocking", "send(...)");
    const time_point give_up_at = std::chrono::steady_clock::now() + patience_for_room;
    for (;;) {
        const int error = send_once(socket, m);
        if (error == 0) return pipe_result::done;
        if (error == EPIPE) return pipe_result::closed;
        const time_point now = std::chrono::steady_clock::now();
        if (now >= deadline) return pipe_result::nothing;
        if (error == EAGAIN) {
            pollfd entry{socket.get(), POLLOUT, 0};
            if (!poll_until(std::span{&entry, 1}, deadline)) return pipe_result::nothing;
        } else {
            if (now >= give_up_at) throw_no_room(error);
            nap_for_room();
        }
    }
}

task<void> send_message(shared_descriptor socket, pipe_message m) {
    if (!may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    const time_point give_up_at = std::chrono::steady_clock::now() + patience_for_room;
    for (;;) {
        const int error = send_once(socket, m);
        if (error == 0) co_return;
        if (error == EPIPE) throw_pipe_closed();
        if (error == EAGAIN) {
            const awaited_descriptor room{socket.get(), true};
            co_await descriptor_wait{std::span{&room, 1}, "pipe.send"};
        } else {
            if (std::chrono::steady_clock::now() >= give_up_at) throw_no_room(error);
            co_await plait::sleep_for(pause_for_room);
        }
    }
}

pipe_result receive_now(const shared_descriptor& socket, pipe_message& m) {
    check_open(socket);
    return receive_packet(socket, {}, m);
}

pipe_result receive_until(const shared_descriptor& socket, pipe_message& m, time_point deadline) {
    refuse_to_block("pipe.receive_blocking", "receive()");
    for (;;) {
        const pipe_result r = receive_now(socket, m);
        if (r != pipe_result::nothing) return r;
        pollfd entry{socket.get(), POLLIN, 0};
        if (!poll_until(std::span{&entry, 1}, deadline)) return pipe_result::nothing;
    }
}

task<bool> receive_message(shared_descriptor socket, pipe_message& m) {
    if (!may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    for (;;) {
        const pipe_result r = receive_now(socket, m);
        if (r != pipe_result::nothing) co_return r == pipe_result::done;
        const awaited_descriptor something{socket.get(), false};
        co_await descriptor_wait{std::span{&something, 1}, "pipe.receive"};
    }
}

bool can_receive_until(const shared_descriptor& socket, time_point deadline) {
    refuse_to_block("pipe.wait_blocking_for", "receive()");
    check_open(socket);
    pollfd entry{socket.get(), POLLIN, 0};
    return poll_until(std::span{&entry, 1}, deadline);
}

std::size_t wait_for_one_until(std::span<const shared_descriptor> sockets, time_point deadline) {
    refuse_to_block("select_blocking", "select(...)");
    std::vector<pollfd> entries = entries_of(sockets);
    poll_until(entries, deadline);
    return pick(entries);
}

task<std::size_t> wait_for_one(std::vector<shared_descriptor> sockets) {
    if (!may_go_on()) co_await plait::yield();
    std::vector<pollfd> entries = entries_of(sockets);
    std::vector<awaited_descriptor> awaited;
    awaited.reserve(entries.size());
    for (const pollfd& e : entries) awaited.push_back({e.fd, false});
    for (;;) {
        if (::poll(entries.data(), entries.size(), 0) > 0) co_return pick(entries);
        co_await descriptor_wait{awaited, "select"};
    }
}

} // namespace plait::detail
