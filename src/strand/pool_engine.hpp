// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/spin_lock.hpp"
#include "strand/engine.hpp"
#include "strand/post_lane.hpp"

#include <plait/detail/fork.hpp>

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace plait::detail {

/// From 1 on; 0: it has posted nothing yet.
extern constinit thread_local unsigned this_thread_number
    [[gnu::visibility("hidden"), gnu::tls_model("initial-exec")]];
unsigned number_this_thread() noexcept;

/// The threads behind thread_pool.
///
/// What is posted from outside goes into lanes of records (see post_lane), each thread's into one of them; a
/// worker claims some of them, and others steal half of what is left of a claim. What has a priority, whoever
/// posts it, and steps of tasks that are under way, go into the inbox, under `lock_`. A worker that looks for
/// some moves the whole inbox behind what is in the injector, which takes no time however long it is, and then
/// takes, under `injected_lock_` alone, one, or of steps a batch for its own queue. What else a worker posts
/// goes to that queue, what it forks to its deque; others steal from both. If all are asleep, nothing is queued,
/// and a task is handed to the worker that is woken for it. Locks are taken in the order lane, injected_lock_,
/// lock_.
///
/// Invariant W: if work is queued and a worker sleeps, a wake is under way (`waking_`), or a worker that is
/// awake has yet to look everywhere. It holds because
///   - whoever adds to the inbox, and whoever goes to sleep, does so under `lock_`; what leaves the inbox is
///     under the same lock counted as in the injector, so that one of the two counts tells a worker that is
///     about to sleep of it. Outside of that lock the counts only fall, by the hand of a worker that is awake
///     and has what it took;
///   - who puts something into a lane stores its end, seq_cst, and then reads `sleepers_`, while a worker that
///     goes to sleep does an RMW on `sleepers_` and then reads every lane's end and every claim, all seq_cst:
///     not both can miss. Into a fast lane it is put with less; before going to sleep lanes are made slow (see
///     post_lane). Only workers that are awake move a lane on, and they look again before they sleep. What
///     one of them has claimed may have been overlooked on its way into its claim: if there is more than the
///     record that it begins with, it reads `sleepers_` after that;
///   - a worker that adds to its own queue does an RMW on that queue's size and then reads `sleepers_`, while
///     a worker that goes to sleep does an RMW on `sleepers_` and then reads every size, all seq_cst: not
///     both can miss. Sizes fall under the queue's lock only, and wake nobody. Likewise a worker that forks:
///     it stores its deque's end, seq_cst, and then reads `sleepers_`. In a small pool it has but a light
///     barrier between the two, and whoever goes to sleep, or offers a place, a heavy one between its RMW and
///     one more look at the deques, a sleeper after a nap; before the first fork the ring's exchange stands
///     for both;
///   - a wake takes the last sleeper off the list and changes the word that it sleeps on, under `lock_`. Who
///     finds forks late takes itself off it, so that no wake goes to who is awake;
///   - a wake is swallowed only while another is under way, which it marks. Its receiver clears `waking_`
///     under `lock_`, so that it sees what was queued before, and searches. If the wake was marked, and it
///     finds work, it looks everywhere once more and passes the wake on, marked: it may have been swallowed
///     more than once. What may stand for several tasks is marked from the start.
///
/// Blocking: a thread in a `blocking_region` lets a spare one take its place. The place is offered as if a
/// worker slept there: it is in `sleepers_`, and a wake that finds nobody asleep starts a spare thread, or
/// one that is parked. When the region has ended there may be a thread too many, and the next to end a task
/// parks. The numbers (guarded by `lock_`): `blocked_` threads are in a region, `extra_` spare ones have
/// taken places, `offered_` places stand open; `surplus_` is by how much `extra_` exceeds `blocked_`.
///
/// Counting out: a task that ends on one of the threads is first noted in that thread's own `left`, so that
/// those who post and those who work do not fight over the engine's word. Until it is passed on the word is
/// too high, never too low: nobody sees an idle engine too soon. And it is passed on before the thread looks
/// beyond its own queue, hence before it sleeps: nobody waits for ever. In between the thread runs tasks that
/// are counted in themselves, or steps of other executors' tasks, for whose end the join waits anyway.
class pool_engine final : public engine {
  public:
    pool_engine(std::size_t workers, const char* name, function<void()> initializer,
                unhandled_handler handler);

    void post(work& w) noexcept override;
    /// Enters and posts a function. False if a task posts it: there is more to know of it, and what one of the
    /// pool's own threads posts goes to that one's queue. Throws shutdown_error, bad_alloc.
    bool post_by_value(const posted_record& r);
    /// Enters and posts a function that is to be counted in. Throws shutdown_error; bad_alloc never.
    void count_in_and_post(work& w);
    void leave() noexcept override;
    /// As engine::close().
    bool close() noexcept;
    void begin_blocking() noexcept override;
    void end_blocking() noexcept override;
    void work_added() noexcept override { wake_one(); }
    bool is_current() const noexcept override { return current().runs(*this); }

    /// Starts the threads; throws system_error, having stopped those that it could start.
    void start();
    std::size_t size() const noexcept { return workers_; }

    /// Takes every task that has not begun out of the queues and refuses it.
    void refuse_queued() noexcept;
    /// After everybody has left: ends and joins the threads.
    void stop_and_join() noexcept;

  private:
    /// Of what is queued: steps of what has begun, then the priorities of what has not.
    static constexpr std::size_t begun = 0, high = 1, normal = 2, low = 3, levels = 4;
    static constexpr std::size_t most_spares = 256;
    static constexpr std::int64_t nap = 100'000;       // nanoseconds, before a sleeper interrupts anybody
    static constexpr std::size_t most_interrupted = 8; // workers, by each that goes to sleep
    static constexpr std::uint32_t largest_batch = 32;
    static constexpr std::uint32_t largest_claim = 128; // words
    static constexpr std::uint32_t most_left = 256;     // before they are counted out
    static constexpr unsigned own_share = 61; // turns before a look at the lanes, whatever is at hand
    static constexpr unsigned low_share =
        16; // turns while something is injected before the lowest has its own

    struct alignas(64) local_queue {
        atomic<std::uint32_t> lock{0};
        atomic<std::uint32_t> size{0}; // changed under lock
        work_queue queue;              // guarded by lock
        // The worker's own, as are `here` and `claim`'s end:
        std::uint32_t left = 0;           // tasks that have ended here, still to be counted out
        std::uint32_t in_a_row = 0;       // turns while something waits in the injector
        std::uint32_t next_lane = 0;      // to look into
        std::uint32_t next_under_way = 0; // to take from; see take_under_way()
        std::uint32_t last_lane = 0;      // where something was
        bool caught_up = false; // its last claim was not as large as it may be, or it was handed a task
        bool passes_on = false; // the wake that it has received, once it has found work
        work* handed = nullptr; // with that wake
        atomic<std::uint32_t> asleep{0}; // its thread is, or is parked; the futex word. Changed under lock_
        fork_deque forks;
        record_claim claim;
        posted_here* here = nullptr; // where it runs what it takes from its claim
    };
    /// The wake that is under way: for one task, or for more, so that its receiver has to pass it on.
    enum class waking : unsigned char { nobody, for_one, for_more };
    /// What is to be done once the lock is released. A thread that sleeps is woken by its word's address alone, since
    /// the pool may be gone; for one that is to be started the engine is kept.
    struct wake_order {
        const std::uint32_t* sleeper = nullptr;
        bool starts_one = false;
    };

    ~pool_engine() override;
    void on_idle() noexcept override;
    void thread_main(unsigned slot, bool woken) noexcept;
    void start_thread(unsigned slot, bool woken);

    work* next(unsigned slot, unsigned& turn) noexcept;
    work* first_after_sleep(unsigned slot, unsigned& turn) noexcept;
    work* take_own(unsigned slot) noexcept;
    work* take_claimed(local_queue& mine) noexcept;
    work* take_from_lanes(unsigned slot) noexcept;
    work* take_first_claimed(local_queue& mine, bool more) noexcept;
    static void let_others_get_ahead(local_queue& mine) noexcept;
    work* claim_more(unsigned slot) noexcept;
    void refuse_lanes(work_queue& found) noexcept;
    work* take_neglected(unsigned slot, bool injected, unsigned& turn) noexcept;
    work* take_under_way(unsigned slot) noexcept;
    work* take_injected(unsigned slot, std::size_t first, std::size_t last) noexcept;
    bool waits(std::size_t level) const noexcept { return waiting_[level].load(order::relaxed) != 0; }
    bool anything_injected() const noexcept {
        return inbox_count_.load(order::relaxed) != 0 || injected_count_.load(order::relaxed) != 0;
    }
    void take_inbox() noexcept;
    void count_out(unsigned slot) noexcept;
    work* steal(unsigned slot) noexcept;
    work* steal_queued(unsigned slot) noexcept;
    work* steal_claim(unsigned slot) noexcept;
    post_lane& lane_of_this_thread() noexcept {
        const unsigned mine = this_thread_number;
        return lanes_[(mine != 0 ? mine : number_this_thread()) & last_lane_];
    }
    wake_order request_wake_for_lane() noexcept;
    bool sleep(local_queue& mine) noexcept;
    static void lie_down(local_queue& mine, std::vector<local_queue*>& among) noexcept;
    static bool stay_down(local_queue& mine, std::int64_t until) noexcept;
    static wake_order rouse_last(std::vector<local_queue*>& among) noexcept;
    bool work_anywhere() const noexcept;
    bool work_beside_lanes() const noexcept;
    void slow_lanes_down() noexcept;
    bool work_possible() const noexcept;
    bool forks_were_made() const noexcept;
    bool forks_seen_late() const noexcept;
    wake_order request_wake(waking wanted) noexcept;
    void receive_wake(local_queue& mine) noexcept;
    void carry_out(wake_order order) noexcept;
    void wake_one() noexcept;
    void pass_wake_on() noexcept;
    void start_spare() noexcept;
    bool recount() noexcept;
    wake_order take_place() noexcept;
    bool park(unsigned slot) noexcept;
    void push_own(local_queue& q, std::span<work* const> items) noexcept;
    void inject(work& w, std::size_t level) noexcept;
    bool hand_over(work& w) noexcept;
    static std::size_t level_of(const work& w) noexcept { return w.unstarted_ ? high + w.priority_ : begun; }
    void request_stop() noexcept;

    const char* name_;
    function<void()> initializer_;

    // Spun on, like the others: no section that it guards is longer than a look at every queue.
    alignas(64) atomic<std::uint32_t> lock_{0};
    waking waking_ = waking::nobody;       // guarded by lock_: a wake is under way
    bool stop_ = false;                    // guarded by lock_
    std::uint32_t blocked_ = 0;            // guarded by lock_
    std::uint32_t extra_ = 0;              // guarded by lock_
    std::uint32_t offered_ = 0;            // guarded by lock_
    atomic<std::uint32_t> sleepers_{0};    // changed under lock_: of threads that sleep, and places offered
    std::vector<local_queue*> asleep_;     // guarded by lock_; has room for all
    atomic<bool> all_asleep_{false};       // changed under lock_
    work* handed_ = nullptr;               // guarded by lock_: for whoever receives the wake
    atomic<std::uint32_t> inbox_count_{0}; // changed under lock_
    std::array<work_queue, levels> inbox_; // guarded by lock_

    // On a line of its own: the workers', while the one above is also that of those who post.
    alignas(64) atomic<std::uint32_t> injected_lock_{0};
    atomic<std::uint32_t> injected_count_{0}; // changed under injected_lock_; grows under lock_ too
    std::array<atomic<std::uint32_t>, levels>
        waiting_{};                           // of those, and of the inbox. Hints: nobody sleeps by them
    std::array<work_queue, levels> injected_; // guarded by injected_lock_

    // Read after every task, and written hardly ever: not on a line that those who post write.
    alignas(64) atomic<std::uint32_t> surplus_{0}; // changed under lock_
    atomic<std::uint32_t> slots_;                  // changed under lock_: how many queues_ have had a thread
    const std::size_t workers_;
    std::vector<post_lane> lanes_;
    const std::size_t last_lane_; // their number is a power of 2
    spare_chunks spares_;
    std::vector<local_queue> queues_;  // one for each worker, then one for each spare thread there may be
    const bool sleepers_pay_;          // for the order that forks need; else who forks does
    std::vector<local_queue*> parked_; // guarded by lock_; has room for all
    std::mutex threads_mutex_;
    bool joining_ = false;             // guarded by threads_mutex_: no more spares
    std::vector<std::thread> threads_; // guarded by threads_mutex_
};

/// Threads that come from now on choose their lanes as if they were the first: a run that is repeated takes the same
/// course (testing::run).
void forget_thread_numbers() noexcept;

} // namespace plait::detail
