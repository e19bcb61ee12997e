// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/worker_tasks.hpp"

#include <memory>
#include <vector>

#include <plait/detail/process_call.hpp>
#include <plait/event_loop.hpp>

namespace plait::detail {

/// A worker that drives many coroutines at once. Two threads: the loop's, which runs them, and this one,
/// which alone touches the lane: it claims tasks in the order in which they were queued, reads their
/// arguments, writes their results one after the other, and passes on what is to stop.
///
/// It sleeps on the lane's one word, so the parent (a task, a stop, room for bytes) and the loop (a task has
/// ended) wake it in the same way, and it looks for all of that before it sleeps again.
class loop_worker final : worker_tasks {
  public:
    loop_worker(std::byte* memory, worker_descriptors ours, event_loop& loop)
        : worker_tasks{memory, ours}, loop_{loop} {
        running_.reserve(slots_per_loop_lane); // so that nothing can fail between claim and note
    }

    /// Until it is told to leave, and nothing is queued or runs.
    void run() noexcept;

  private:
    struct running {
        std::uint64_t index = 0;
        std::string name;
        std::unique_ptr<pending_result> result;
    };

    /// Of the tasks that the parent has queued, how many have been looked at: what is left is `pushed` - it.
    bool is_queued() const noexcept;
    bool is_asked_to_stop() const noexcept;
    void begin(std::uint64_t index) noexcept;
    void stop_the_asked() noexcept;
    void finish_the_done() noexcept;
    void finish_one(running& r) noexcept;
    static void note_done(void* self, pending_result& result) noexcept;

    event_loop& loop_;
    std::uint64_t head_ = 0;
    std::vector<std::unique_ptr<running>> running_;
    // Results that have come; pushed by the loop's thread (seq_cst: pairs with this thread's look after it
    // has announced that it sleeps), taken all at once by this one.
    atomic<pending_result*> done_{nullptr};
};

} // namespace plait::detail
