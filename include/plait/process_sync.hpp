// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/chrono.hpp>
#include <plait/serialize.hpp>
#include <plait/task.hpp>
#include <vector>

namespace plait {

/// Something that has happened, or not yet, for all processes that hold it.
///
///     plait::process_event go;
///     auto f = pool.submit(wait_and_run, go); // void wait_and_run(plait::process_event)
///     go.set();
///
/// Threads:       const members from any thread, in any process, at once; copies are the same event.
/// Order:         what happened before `set` is visible after the wait that it ends: both are system calls on
///                the same file.
/// Cancellation:  a cancelled wait changes nothing (process_sync_test, ACancelled...).
/// Errors:        system_error without a descriptor for it; logic_error for one that was moved from. The
///                death of a process that holds it changes nothing.
/// Cost:          a system call.
class [[gnu::visibility("default")]] process_event {
  public:
    /// Not set.
    process_event();

    void set() const;
    void reset() const;
    bool is_set() const;
    /// Until it is set. `reset` right after `set` may be faster than who waits: then that goes on waiting.
    [[nodiscard]] task<void> wait() const;
    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    void wait_blocking() const;
    /// For at most `d`; false: it is not set.
    template <class Rep, class Period>
    bool wait_blocking_for(std::chrono::duration<Rep, Period> d) const {
        return wait_until(detail::deadline_in(d));
    }

  private:
    friend struct detail::handle_access;
    explicit process_event(detail::shared_descriptor d) noexcept : event_{std::move(d)} {}
    bool wait_until(detail::time_point deadline) const;
    void save_handle(detail::byte_writer& out) const { detail::put_descriptor(out, event_); }
    static process_event load_handle(detail::byte_reader& in) {
        return process_event{detail::take_descriptor(in)};
    }
    detail::shared_descriptor event_; // an eventfd: set while it is not 0
};
template <>
inline constexpr bool detail::is_handle<process_event> = true;

/// So many at the same time, and no more, in all processes together. A permit of a process that dies is given
/// back.
///
///     plait::process_semaphore disks{2};
///     auto mine = disks.acquire_blocking();
///     read_from_disk();                       // at most two are here, whatever process they are in
///
/// Threads:       const members from any thread, in any process, at once; copies are the same semaphore.
/// Order:         what happened before a permit was given back is visible to who gets it. Whoever comes while
///                others wait may be faster than they.
/// Cancellation:  a cancelled wait has taken none (process_sync_test, ACancelled...).
/// Errors:        permits that are not from 1 to 10000: invalid_argument. It needs /proc: system_error
///                without.
/// Cost:          some 5 microseconds, two descriptors, and one more for each permit that is held. A permit
///                whose holder died is found within 20 ms by who waits.
class [[gnu::visibility("default")]] process_semaphore {
  public:
    /// One permit; given back at its end. It stays in the process.
    class [[nodiscard, gnu::visibility("default")]] permit {
      public:
        permit() noexcept = default;
        permit(permit&& other) noexcept = default;
        permit& operator=(permit other) noexcept {
            std::swap(lock_, other.lock_);
            std::swap(bell_, other.bell_);
            return *this;
        }
        ~permit();
        explicit operator bool() const noexcept { return static_cast<bool>(lock_); }

      private:
        friend process_semaphore;
        detail::shared_descriptor lock_; // of one byte, by a file description that is this permit's own
        detail::shared_descriptor bell_;
    };

    /// Holds nothing.
    process_semaphore() noexcept = default;
    explicit process_semaphore(std::size_t permits);

    [[nodiscard]] task<permit> acquire() const;
    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    permit acquire_blocking() const;
    /// For at most `d`; then it is empty.
    template <class Rep, class Period>
    permit acquire_blocking_for(std::chrono::duration<Rep, Period> d) const {
        return acquire_until(detail::deadline_in(d));
    }
    /// Empty if there is none.
    permit try_acquire() const;
    std::size_t permits() const noexcept { return permits_; }

  private:
    friend struct detail::handle_access;
    static task<permit> acquire_one(process_semaphore self);
    permit acquire_until(detail::time_point deadline) const;
    void save_handle(detail::byte_writer& out) const;
    static process_semaphore load_handle(detail::byte_reader& in);
    detail::shared_descriptor locks_; // a memfd with a byte for each permit; a lock on that byte holds it
    detail::shared_descriptor bell_;  // an eventfd: rung for each that is given back
    std::uint32_t permits_ = 0;
};
template <>
inline constexpr bool detail::is_handle<process_semaphore> = true;

/// n parties meet, round after round: each waits until all have come. A party that has gone, with its process
/// or without, is reported to the others, not waited for.
///
///     void phases(const plait::process_barrier& all) {
///         for (int i = 0; i < 10; ++i) {
///             work(i);
///             all.arrive_and_wait_blocking();
///         }
///     }
///
/// Each worker gets one:
///
///     std::vector<plait::future<void>> workers;
///     for (auto& party : plait::process_barrier::make(4))
///         workers.push_back(pool.submit(phases, std::move(party)));
///
/// Each object is one party; hand it on, but do not use copies of it at once.
///
/// Threads:       a party's members from one thread at a time.
/// Order:         what happened before anybody arrived is visible to all of that round.
/// Cancellation:  a party whose wait is cancelled has arrived, and waits for the rest of that round next time
///                (process_sync_test, ACancelled...).
/// Errors:        a party has gone before it arrived: closed_error that names it, then and in every later
///                round. n that is not from 1 to 64: invalid_argument. One that holds nothing: logic_error.
/// Cost:          a message to each other party, and from each; 2 n descriptors for each party.
class [[gnu::visibility("default")]] process_barrier {
  public:
    /// All parties, to be handed to who takes part.
    [[nodiscard]] static std::vector<process_barrier> make(std::size_t n);

    /// Holds nothing.
    process_barrier() noexcept = default;

    [[nodiscard]] task<void> arrive_and_wait() const;
    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    void arrive_and_wait_blocking() const;

    std::size_t party() const noexcept;
    std::size_t parties() const noexcept;

  private:
    friend struct detail::handle_access;
    struct seat;
    void save_handle(detail::byte_writer& out) const;
    static process_barrier load_handle(detail::byte_reader& in);
    static task<void> arrive(std::shared_ptr<seat> s);
    seat& held() const;
    std::shared_ptr<seat> seat_;
};
template <>
inline constexpr bool detail::is_handle<process_barrier> = true;

} // namespace plait
