// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/spin_lock.hpp"
#include "strand/engine.hpp"

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace plait::detail {

/// The threads behind thread_pool.
///
/// Work from outside goes into the inbox, under `lock_`. A worker that looks for some moves the whole inbox
/// behind what is in the injector, which takes no time however long it is, and then, under `injected_lock_`
/// alone, a batch to its own queue: that reads each work of the batch, and nobody who posts waits for it.
/// Workers steal from each other's queues; what a worker posts goes to its own. Locks are taken in the order
/// injected_lock_, lock_.
///
/// Invariant W: if work is queued and every worker sleeps, a wake is under way (`epoch_` has changed since
/// the sleepers read it). It holds because
///   - whoever adds to the inbox, and whoever goes to sleep, does so under `lock_`; what leaves the inbox is
///     under the same lock counted as in the injector, so that one of the two counts tells a worker that is
///     about to sleep of it. Outside of that lock the counts only fall, by the hand of a worker that is awake
///     and has what it took;
///   - a worker that adds to its own queue does an RMW on that queue's size and then reads `sleepers_`, while
///     a worker that goes to sleep does an RMW on `sleepers_` and then reads every size, all seq_cst: not
///     both can miss. Sizes fall under the queue's lock only, and wake nobody;
///   - a wake is swallowed only while another is under way, and its receiver clears `waking_` before it
///     searches.
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
    void leave() noexcept override;
    bool is_current() const noexcept override { return current().worker == this; }

    /// Starts the threads; throws system_error, having stopped those that it could start.
    void start();
    std::size_t size() const noexcept { return queues_.size(); }

    /// Takes every task that has not begun out of the queues and refuses it.
    void refuse_queued() noexcept;
    /// After everybody has left: ends and joins the threads.
    void stop_and_join() noexcept;

  private:
    static constexpr std::size_t priorities = 3;
    static constexpr std::uint32_t largest_batch = 32;
    static constexpr unsigned own_share = 61;  // own tasks in a row before a look at the injector
    static constexpr unsigned high_share = 16; // tasks in a row before the lowest priority has its turn

    struct alignas(64) local_queue {
        atomic<std::uint32_t> lock{0};
        atomic<std::uint32_t> size{0}; // changed under lock
        work_queue queue;              // guarded by lock
        std::uint32_t left = 0; // the worker's own: tasks that have ended here, still to be counted out
    };

    ~pool_engine() override;
    void on_idle() noexcept override;
    void thread_main(unsigned slot) noexcept;

    work* next(unsigned slot, unsigned& turn) noexcept;
    work* take_own(unsigned slot) noexcept;
    work* take_injected(unsigned slot) noexcept;
    void take_inbox() noexcept;
    void count_out(unsigned slot) noexcept;
    work* steal(unsigned slot) noexcept;
    bool sleep() noexcept;
    bool work_anywhere() const noexcept;
    bool request_wake() noexcept;
    void wake_one() noexcept;
    void push_own(local_queue& q, work_queue& items, std::uint32_t n) noexcept;
    void request_stop() noexcept;

    const char* name_;
    function<void()> initializer_;

    // Spun on, like the others: no section that it guards is longer than a look at every queue.
    atomic<std::uint32_t> lock_{0};
    std::array<work_queue, priorities> inbox_; // guarded by lock_
    atomic<std::uint32_t> inbox_count_{0};     // changed under lock_
    bool waking_ = false;                      // guarded by lock_: a wake is under way
    bool stop_ = false;                        // guarded by lock_
    atomic<std::uint32_t> sleepers_{0};        // changed under lock_
    atomic<std::uint32_t> epoch_{0};           // changed under lock_; the futex word

    // On a line of its own: the workers', while the one above is also that of those who post.
    alignas(64) atomic<std::uint32_t> injected_lock_{0};
    atomic<std::uint32_t> injected_count_{0};     // changed under injected_lock_; grows under lock_ too
    std::array<work_queue, priorities> injected_; // guarded by injected_lock_
    unsigned injected_turn_ = 0;                  // guarded by injected_lock_

    std::vector<local_queue> queues_;
    std::vector<std::thread> threads_;
};

} // namespace plait::detail
