// SPDX-License-Identifier: Apache-2.0
#include "process/packet.hpp"

#include "process/descriptor_passing.hpp"
#include "sys/errors.hpp"

#include <plait/blocking_region.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>

namespace plait::detail {
namespace {

struct packet_head {
    std::uint64_t in_memory = 0; ///< 0: the packet is all of it
    std::uint64_t size = 0;      ///< of the message; the rest of the packet fills it up
};
using head_room = std::array<std::byte, sizeof(packet_head) + largest_label>;

bool is_gone(int error) noexcept {
    return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN;
}

/// Where a packet is received before its size is known. A thread's own: a message that waits to be read, in a team
/// say, keeps what it needs and no more.
std::byte* room_for_packet() {
    static thread_local const auto room = std::make_unique_for_overwrite<std::byte[]>(largest_packet);
    return room.get();
}

} // namespace

pipe_message::~pipe_message() {
    if (large != nullptr) ::munmap(large, large_size);
}

void pipe_message::prepare(packet_room room) {
    size = bytes.size();
    if (size <= room.most) {
        if (!room.all_equal) return;
        const std::size_t rest = room.most - bytes.size();
        std::memset(bytes.extend(rest), 0, rest);
        bytes.commit(rest);
        return;
    }
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
    ballast.append(bytes.data(), room.most);
    bytes = std::move(ballast);
    in_memory = size;
    size = room.most;
    descriptors.all.emplace_back(memory.release());
}

void open_large(pipe_message& m, std::uint64_t size) {
    if (size == 0) return;
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

int send_packet(const shared_descriptor& socket, std::span<const std::byte> label, pipe_message& m) {
    const packet_head first{m.in_memory, m.size};
    head_room head;
    std::memcpy(head.data(), &first, sizeof(first));
    if (!label.empty()) std::memcpy(head.data() + sizeof(first), label.data(), label.size());
    const int error =
        send_parcel(socket.get(), std::span{head}.first(sizeof(first) + label.size()),
                    std::span{m.bytes.data(), m.bytes.size()}, numbers_of(m.descriptors), false);
    if (error == 0 || is_full(error)) return error;
    if (is_gone(error)) return EPIPE;
    throw_errno(error, "pipe: cannot send " + std::to_string(m.bytes.size()) + " bytes");
}

pipe_result receive_packet(const shared_descriptor& socket, std::span<std::byte> label, pipe_message& m) {
    head_room head;
    const std::size_t head_size = sizeof(packet_head) + label.size();
    std::byte* const room = room_for_packet();
    parcel got = receive_parcel(socket.get(), std::span{head}.first(head_size),
                                std::span{room, largest_packet}, false);
    if (got.error == EAGAIN) return pipe_result::nothing;
    if (got.error != 0 && !is_gone(got.error)) throw_errno(got.error, "pipe: cannot receive");
    if (got.ended || got.error != 0) return pipe_result::closed;
    if (got.size < head_size) throw std::runtime_error{"pipe: a damaged message"};
    if (!label.empty()) std::memcpy(label.data(), head.data() + sizeof(packet_head), label.size());
    packet_head first;
    std::memcpy(&first, head.data(), sizeof(first));
    if (first.size > got.size - head_size) throw std::runtime_error{"pipe: a damaged message"};
    m.bytes.append(room, static_cast<std::size_t>(first.size));
    m.descriptors = to_list(std::move(got.descriptors));
    open_large(m, first.in_memory);
    return pipe_result::done;
}

void throw_no_room(int error) {
    throw_errno(error,
                "pipe: cannot send: for " + std::to_string(patience_for_room.count()) +
                    " s the kernel has had no room for the handles in the message; raise ulimit -n, or "
                    "receive what was sent");
}

void nap_for_room() noexcept {
    const blocking_region elsewhere;
    const timespec nap{0, std::chrono::nanoseconds{pause_for_room}.count()};
    ::nanosleep(&nap, nullptr);
}

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

} // namespace plait::detail
