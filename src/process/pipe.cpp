// SPDX-License-Identifier: Apache-2.0
#include <plait/pipe.hpp>

#include "process/blocking.hpp"
#include "process/descriptor_passing.hpp"
#include "sys/errors.hpp"
#include "sys/memory.hpp"
#include "sys/socket_pair.hpp"

#include <plait/detail/descriptor_wait.hpp>
#include <plait/detail/select.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <string>

// One message is one packet of a SOCK_SEQPACKET pair: the kernel keeps it whole whoever sends or dies, wakes who
// waits, and knows the end. What is larger than a packet lies in a memfd that the packet brings; the packet is then
// filled up with ballast, so that the socket's buffer bounds how many such messages lie there unread.

namespace plait::detail {
namespace {

constexpr std::size_t largest_packet = (std::size_t{64} << 10) - 64;
constexpr auto pause = std::chrono::milliseconds{2}; // where the kernel has no room, and nobody tells when
constexpr auto patience = std::chrono::seconds{5};

struct packet_head {
    std::uint64_t in_memory = 0; ///< 0: the packet is all of it
};

void check_open(const shared_descriptor& socket) {
    if (!socket)
        throw std::logic_error{"pipe: this end holds nothing: it was closed, moved from or never made"};
}

bool is_gone(int error) noexcept {
    return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN;
}

/// 0: sent. An errno that passes by itself, or EPIPE: closed. Throws the rest.
int send_once(const shared_descriptor& socket, pipe_message& m) {
    check_open(socket);
    const packet_head head{m.in_memory};
    const int error =
        send_parcel(socket.get(), std::as_bytes(std::span{&head, 1}),
                    std::span{m.bytes.data(), m.bytes.size()}, numbers_of(m.descriptors), false);
    if (error == 0 || is_full(error)) return error;
    if (is_gone(error)) return EPIPE;
    throw_errno(error, "pipe: cannot send " + std::to_string(m.bytes.size()) + " bytes");
}

[[noreturn]] void throw_no_room(int error) {
    throw_errno(error,
                "pipe: cannot send: for " + std::to_string(patience.count()) +
                    " s the kernel has had no room for the handles in the message; raise ulimit -n, or "
                    "receive what was sent");
}

void map_large(pipe_message& m, std::uint64_t size) {
    const shared_descriptor memory =
        m.descriptors.all.empty() ? shared_descriptor{} : m.descriptors.all.back();
    if (!memory)
        throw_errno(EMFILE, "pipe: a message of " + std::to_string(size) +
                                " bytes came in memory of its own, but this process has too many open files; "
                                "raise ulimit -n");
    m.descriptors.all.pop_back();
    struct stat file{};
    if (::fstat(memory.get(), &file) != 0 || static_cast<std::uint64_t>(file.st_size) < size)
        throw std::runtime_error{"pipe: a damaged message"};
    void* const at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_SHARED | MAP_POPULATE,
                            memory.get(), 0);
    if (at == MAP_FAILED) throw_errno("pipe: cannot map a message of " + std::to_string(size) + " bytes");
    m.large = at;
    m.large_size = static_cast<std::size_t>(size);
}

/// Waits in this thread; false: the deadline has passed.
bool poll_until(std::span<pollfd> entries, time_point deadline) {
    const blocking_region elsewhere;
    for (;;) {
        int timeout = -1;
        if (deadline != time_point::max()) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000));
        }
        const int ready = ::poll(entries.data(), entries.size(), timeout);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) throw_errno("pipe: poll");
        if (deadline != time_point::max() && std::chrono::steady_clock::now() >= deadline) return false;
    }
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

pipe_message::~pipe_message() {
    if (large != nullptr) ::munmap(large, large_size);
}

void pipe_message::prepare() {
    const std::size_t size = bytes.size();
    if (size <= largest_packet) return;
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur) // else a signal would say so
        throw_errno(EFBIG, "pipe: cannot send " + std::to_string(size) + " bytes: see ulimit -f");
    unique_fd memory = above_stdio(unique_fd{::memfd_create("plait-message", MFD_CLOEXEC)});
    if (!memory) throw_errno("pipe: memfd_create");
    for (std::size_t done = 0; done < size;) {
        const ssize_t written = ::write(memory.get(), bytes.data() + done, size - done);
        if (written > 0)
            done += static_cast<std::size_t>(written);
        else if (errno != EINTR)
            throw_errno("pipe: cannot put " + std::to_string(size) + " bytes into memory of their own");
    }
    byte_buffer ballast;
    ballast.append(bytes.data(), largest_packet);
    bytes = std::move(ballast);
    in_memory = size;
    descriptors.all.emplace_back(memory.release());
}

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

pipe_result send_now(const shared_descriptor& socket, pipe_message& m) {
    const int error = send_once(socket, m);
    return error == 0 ? pipe_result::done : error == EPIPE ? pipe_result::closed : pipe_result::nothing;
}

pipe_result send_until(const shared_descriptor& socket, pipe_message& m, time_point deadline) {
    refuse_to_block("pipe.send_blocking", "send(...)");
    const time_point give_up_at = std::chrono::steady_clock::now() + patience;
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
            const blocking_region elsewhere;
            const timespec nap{0, std::chrono::nanoseconds{pause}.count()};
            ::nanosleep(&nap, nullptr);
        }
    }
}

task<void> send_message(shared_descriptor socket, pipe_message m) {
    if (!may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    const time_point give_up_at = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const int error = send_once(socket, m);
        if (error == 0) co_return;
        if (error == EPIPE) throw_pipe_closed();
        if (error == EAGAIN) {
            const awaited_descriptor room{socket.get(), true};
            co_await descriptor_wait{std::span{&room, 1}, "pipe.send"};
        } else {
            if (std::chrono::steady_clock::now() >= give_up_at) throw_no_room(error);
            co_await plait::sleep_for(pause);
        }
    }
}

pipe_result receive_now(const shared_descriptor& socket, pipe_message& m) {
    check_open(socket);
    packet_head head;
    std::byte* const room = m.bytes.extend(largest_packet);
    parcel got = receive_parcel(socket.get(), std::as_writable_bytes(std::span{&head, 1}),
                                std::span{room, largest_packet}, false);
    if (got.error == EAGAIN) return pipe_result::nothing;
    if (got.error != 0 && !is_gone(got.error)) throw_errno(got.error, "pipe: cannot receive");
    if (got.ended || got.error != 0) return pipe_result::closed;
    if (got.size < sizeof(head)) throw std::runtime_error{"pipe: a damaged message"};
    m.bytes.commit(got.size - sizeof(head));
    m.descriptors = to_list(std::move(got.descriptors));
    if (head.in_memory != 0) map_large(m, head.in_memory);
    return pipe_result::done;
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
    for (const pollfd& e : entries) awaited.push_back({e.fd, false});
    for (;;) {
        if (::poll(entries.data(), entries.size(), 0) > 0) co_return pick(entries);
        co_await descriptor_wait{awaited, "select"};
    }
}

} // namespace plait::detail
