// SPDX-License-Identifier: Apache-2.0
#include "process/slot_stream.hpp"

#include "sys/futex.hpp"

#include <plait/detail/bytes.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace plait::detail {
namespace {

// Small reads and writes of a streamed value go through it, so that a map of strings does not cost an atomic
// each.
constexpr std::size_t window_size = std::size_t{64} << 10;

} // namespace

int worker_port::mark_bell(int bell) noexcept {
    // An eventfd has no position to append at: the flag changes nothing but the look of it.
    const int flags = ::fcntl(bell, F_GETFL);
    if (flags < 0 || ::fcntl(bell, F_SETFL, flags | O_APPEND) != 0) return -1;
    return ::fcntl(bell, F_GETFL);
}

bool worker_port::can_ring() const noexcept {
    return bell_flags_ >= 0 && ::fcntl(bell_, F_GETFL) == bell_flags_;
}

void worker_port::ring() noexcept {
    untold_ = false;
    wake(lane_.header().parent.take_any());
}

void worker_port::ring_for(std::uint64_t index) noexcept { wake(lane_.header().parent.take(index, untold_)); }

void worker_port::wake(listener_word::who listener) noexcept {
    if (listener == listener_word::who::nobody) return;
    if (listener == listener_word::who::thread) {
        futex_wake(lane_.header().parent.address(), 1, futex_scope::shared);
        return;
    }
    // The task before may have closed whatever it found, and a file may have the number now: nothing of ours
    // is ever written to that. Nobody would hear us any more, so the parent has to see our end instead.
    if (!can_ring()) ::_exit(exit_without_bell);
    const std::uint64_t one = 1;
    while (::write(bell_, &one, sizeof(one)) < 0) {
        if (errno == EAGAIN) return; // the counter is at its maximum, which also wakes
        if (errno != EINTR) ::_exit(exit_without_bell);
    }
}

// False: the deadline has passed.
bool worker_port::sleep(std::int64_t deadline) noexcept {
    return futex_wait(lane_.header().worker.address(), park_word::parked, deadline, futex_scope::shared) !=
           futex_result::timed_out;
}

slot_reader::slot_reader(worker_port& port, lane_slot& slot) noexcept : port_{port} {
    if ((slot.flags & arguments_streamed) != 0) {
        to_come_ = slot.size;
    } else {
        next_ = port.lane().at(slot.block);
        end_ = next_ + slot.size;
    }
}

std::uint64_t slot_reader::remaining() const noexcept {
    return static_cast<std::uint64_t>(end_ - next_) + to_come_;
}

void slot_reader::release() noexcept {
    if (held_ == 0) return;
    ring_release(port_.lane().header().to_worker, std::exchange(held_, 0));
    port_.ring(); // there is room again
}

void slot_reader::more() {
    release();
    if (to_come_ == 0) ended_early();
    ring_positions& positions = port_.lane().header().to_worker;
    port_.wait([&] { return ring_available(positions) != 0; });
    const auto [at, count] = ring_piece(positions, port_.lane().at(lane_ring_to_worker));
    held_ = static_cast<std::size_t>(std::min<std::uint64_t>(count, to_come_));
    to_come_ -= held_;
    next_ = at;
    end_ = at + held_;
}

void slot_reader::underflow(std::byte* to, std::size_t count) {
    if (count > remaining()) ended_early();
    while (count != 0) {
        const auto [from, part] = look(count);
        std::memcpy(to, from, part);
        skip(part);
        to += part;
        count -= part;
    }
}

void slot_reader::drain() noexcept {
    while (to_come_ != 0) more();
    release();
    next_ = end_;
}

slot_writer::slot_writer(worker_port& port, lane_slot& slot) noexcept : port_{port}, slot_{slot} {
    begin_ = next_ = port.lane().at(slot.block);
    end_ = begin_ + slot.capacity;
}

void slot_writer::restart() noexcept {
    next_ = begin_;
    if (descriptors != nullptr) descriptors->all.clear();
    sent_ = 0; // the parent keeps what is already there, and takes the last `size` bytes
}

void slot_writer::send(const std::byte* bytes, std::size_t count) noexcept {
    ring_positions& positions = port_.lane().header().to_parent;
    std::byte* ring = port_.lane().at(lane_ring_to_parent);
    sent_ += count;
    while (count != 0) {
        const std::size_t part = ring_put(positions, ring, bytes, count);
        bytes += part;
        count -= part;
        if (part != 0)
            port_.ring();
        else
            port_.wait([&] { return ring_room(positions) != 0; });
    }
}

void slot_writer::flush() noexcept {
    send(begin_, static_cast<std::size_t>(next_ - begin_));
    next_ = begin_;
}

void slot_writer::overflow(const std::byte* bytes, std::size_t count) {
    // So much comes: the parent makes room for it once, instead of again and again. Before it sees the first byte.
    const bool much = count >= window_size;
    if (much) slot_.size = sent_ + static_cast<std::uint64_t>(next_ - begin_) + count;
    if (!streaming_) {
        auto window = std::make_unique_for_overwrite<std::byte[]>(window_size);
        flush();
        streaming_ = true;
        slot_.flags |= result_streamed;
        window_ = std::move(window);
        begin_ = next_ = window_.get();
        end_ = begin_ + window_size;
    } else {
        flush();
    }
    if (much) {
        send(bytes, count);
    } else {
        std::memcpy(next_, bytes, count);
        next_ += count;
    }
}

std::uint64_t slot_writer::finish() noexcept {
    if (!streaming_) return static_cast<std::uint64_t>(next_ - begin_);
    flush();
    ring_positions& positions = port_.lane().header().to_parent;
    // seq_cst: see ring_room(). relaxed: ours.
    port_.wait(
        [&] { return positions.consumed.load(order::seq_cst) == positions.produced.load(order::relaxed); });
    return sent_;
}

} // namespace plait::detail
