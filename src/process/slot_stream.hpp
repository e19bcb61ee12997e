// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/short_spin.hpp"
#include "process/lane.hpp"
#include "sys/futex.hpp"
#include "sys/heap.hpp"

#include <memory>

#include <plait/detail/bytes.hpp>

namespace plait::detail {

/// The exit status of a worker whose task has closed its descriptors.
inline constexpr int exit_without_bell = 113;

/// The worker's end of its lane: sleeping, and waking the parent.
class worker_port {
  public:
    worker_port(lane_view lane, int bell) noexcept : lane_{lane}, bell_{bell}, bell_flags_{mark_bell(bell)} {}

    lane_view lane() const noexcept { return lane_; }
    /// Wakes the parent if it sleeps; system calls only then. Ends the process where a task has closed the
    /// bell.
    void ring() noexcept;
    /// The slot is done, or passed over: wakes who wants to know that.
    void ring_for(std::uint64_t index) noexcept;
    /// Is the bell's number still the bell's? A system call: 150 ns, where the write takes 260.
    bool can_ring() const noexcept;
    /// Sleeps until `ready()`; the parent wakes us after everything that may change it.
    template <class Ready>
    void wait(Ready ready) noexcept {
        wait_after([this] { ring(); }, ready, no_deadline);
    }
    /// The same between two tasks: the parent is woken only for what it has not been told of.
    template <class Ready>
    void wait_for_task(Ready ready) noexcept {
        if (ready()) return;
        if (lane_.header().spins != 0 && spin_.until(ready)) return;
        wait_after(
            [this] {
                if (untold_) ring();
            },
            ready, monotonic_now() + idle_after);
    }

  private:
    /// When the deadline has passed it is idle, and gives memory back.
    template <class Before, class Ready>
    void wait_after(Before before_sleep, Ready ready, std::int64_t deadline) noexcept {
        park_word& parked = lane_.header().worker;
        for (;;) {
            if (ready()) return;
            parked.announce();
            if (ready()) {
                parked.retract();
                return;
            }
            before_sleep();
            if (sleep(deadline)) continue;
            return_unused_blocks();
            deadline = no_deadline;
        }
    }
    static constexpr std::int64_t idle_after = 100'000'000; // nanoseconds
    bool sleep(std::int64_t deadline) noexcept;
    void wake(listener_word::who listener) noexcept;
    /// Gives the bell flags that nobody's file has; returns them.
    static int mark_bell(int bell) noexcept;

    lane_view lane_;
    int bell_;
    int bell_flags_;
    bool untold_ = false; // a slot is done, and who listens did not want to be woken for it
    short_spin spin_;
};

/// A task's arguments, as the worker reads them, where they lie: in the slot's block, or in the ring.
class slot_reader final : public byte_reader {
  public:
    slot_reader(worker_port& port, lane_slot& slot) noexcept;
    std::uint64_t remaining() const noexcept override;
    /// Reads and forgets what the task left, so that the ring is empty before the next one.
    void drain() noexcept;

  private:
    void underflow(std::byte* to, std::size_t count) override;
    void more() override;
    void release() noexcept;

    worker_port& port_;
    std::uint64_t to_come_ = 0; // through the ring, not yet seen
    std::size_t held_ = 0;      // of the ring: the piece that is being read
};

/// A task's result: into the slot's block while it fits, else through the ring.
class slot_writer final : public byte_writer {
  public:
    slot_writer(worker_port& port, lane_slot& slot) noexcept;
    /// Forgets what was written: an exception takes its place.
    void restart() noexcept;
    /// Everything is where the parent can take it; streamed bytes *are* with the parent. Returns the size.
    std::uint64_t finish() noexcept;

  private:
    void overflow(const std::byte* bytes, std::size_t count) override;
    void send(const std::byte* bytes, std::size_t count) noexcept;
    void flush() noexcept;

    worker_port& port_;
    lane_slot& slot_;
    std::byte* begin_ = nullptr;
    std::uint64_t sent_ = 0; // of this result, through the ring
    bool streaming_ = false;
    std::unique_ptr<std::byte[]> window_;
};

} // namespace plait::detail
