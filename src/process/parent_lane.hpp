// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/captured_output.hpp"
#include "process/lane.hpp"
#include "sys/unique_fd.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <plait/detail/process_task.hpp>

namespace plait::detail {

/// Why a worker was killed.
inline constexpr const char* lane_damaged = "its lane was damaged: the task wrote where it should not";

/// A block of a lane's arena, or a slot's own payload.
struct block_reference {
    std::uint64_t offset = 0;
    std::uint32_t capacity = 0;
    std::uint32_t kind = own; ///< which block_class
    std::uint32_t number = 0;
    static constexpr std::uint32_t own = ~std::uint32_t{0};
};

/// The parent's side of one worker incarnation: its lane, its handles and the private books about its slots.
///
/// Nothing in the books is ever read back from shared memory, and everything that is read from there is
/// checked: a worker that has damaged its lane harms itself only. All members under the engine's lock, but
/// for `pump`.
///
/// For a worker that runs one task after the other:
///
///     oldest <= unfinished <= tail     slots [oldest, unfinished) are finished but not yet free to be filled
///     again,
///                                      [unfinished, tail) are with the worker or waiting for it
class parent_lane : public std::enable_shared_from_this<parent_lane> {
  public:
    enum class stage : std::uint8_t {
        starting, ///< forked or about to be; its setup task is in slot 0
        ready,
        retiring, ///< takes no more tasks, leaves when it has none
        dead,     ///< its process has ended
    };

    /// `at_once`: tasks that the worker drives on a loop; 0: it runs one after the other. `spins`: there are
    /// processors enough for looking before sleeping.
    parent_lane(std::uint32_t worker, std::uint64_t number, std::uint32_t at_once, bool spins);
    parent_lane(const parent_lane&) = delete;
    parent_lane& operator=(const parent_lane&) = delete;
    ~parent_lane();

    lane_view view() const noexcept { return lane_view{mapping_.data(), slots_}; }

    bool has_room() const noexcept;
    std::uint64_t outstanding() const noexcept { return outstanding_; }
    /// Of so many tasks none is waited for by itself.
    static constexpr std::uint64_t many = 8;

    /// Fills the next slot. `result_hint`: how large its result may be. Wakes the worker if it sleeps; if that is not
    /// `urgent`, and many tasks come while the supervisor will look again soon, only when there is enough for it to do.
    /// Returns whether it sleeps on.
    bool place(process_task& task, std::uint32_t attempt, std::size_t result_hint, bool urgent) noexcept;
    /// Wakes it for what was not urgent.
    void wake_if_held_back() noexcept;
    /// Takes back what the worker has not begun. False: it has.
    bool withdraw(std::uint64_t index) noexcept;
    /// The last task that can still be taken back, or null.
    process_task* withdraw_last() noexcept;

    /// One finished task, or null: the next in order. `result.what` is `failed` (without an error) if the
    /// lane is damaged.
    process_task* harvest(process_result& result, bool& streamed, std::uint32_t& elapsed);
    /// Frees slots that the worker is past.
    void recycle() noexcept;

    /// The task that the worker holds; on a loop the one that it has held for longest.
    process_task* running() noexcept;
    /// The index of every task on the books, in the order in which they were placed.
    template <class Function>
    void for_each_index(Function function) const {
        if (at_once != 0) {
            for (const std::uint64_t index : live_) function(index);
            return;
        }
        for (std::uint64_t index = unfinished; index < tail; ++index)
            if (task_at(index) != nullptr) function(index);
    }
    /// The first of them, or `none`.
    static constexpr std::uint64_t none = ~std::uint64_t{0};
    std::uint64_t first_index() const noexcept;
    /// On a loop: asks the worker to stop the task.
    void ask_to_stop(std::uint64_t index) noexcept;
    slot_phase phase(std::uint64_t index) noexcept {
        return view().slot(index).state.phase_seq_cst(view().generation(index));
    }
    std::int64_t started(std::uint64_t index) noexcept {
        return view().slot(index).started.load(order::acquire);
    }

    /// Whose bytes go through the rings now: of tasks that the worker holds.
    struct streams {
        process_task* to_worker = nullptr;
        process_task* to_parent = nullptr;
        bool has_bytes = true; // for us
    };
    streams streaming() noexcept;
    /// Moves their bytes; and frees arguments once they are sent. Without the lock: of a task that is held
    /// this thread alone looks at them.
    enum class pumped : std::uint8_t { nothing, some, nonsense, stuck };
    pumped pump(const streams& tasks);
    /// Is there anything for `pump` or `harvest`?
    bool needs_attention() noexcept;
    /// Does the task that the worker holds need the supervisor: for what goes through the rings or the post?
    bool is_streaming() noexcept;
    /// The supervisor copies for one of its tasks, without the lock: none may leave meanwhile. Set under it.
    atomic<bool> pumping{false};
    /// Its arguments are with the worker, and will not be asked for again.
    static void drop_arguments(process_task& task) noexcept {
        task.arguments.release();
        task.descriptors.all.clear();
    }
    /// All of it is in its slot's block, and so is its result as a rule: the supervisor has nothing to carry for it.
    static bool travels_alone(const process_task& task) noexcept {
        return task.descriptors_sent_ && task.fed_ >= task.arguments.size() &&
               task.arguments.size() < large_arguments;
    }
    static bool is_sent(const process_task& task) noexcept {
        return task.fed_ >= task.arguments.size() && task.descriptors_sent_ && task.attempts_ >= task.retries;
    }
    /// Do the rings' positions make sense?
    bool rings_make_sense() const noexcept;

    /// The worker waits until its output is taken: the number of slots that it has asked for so far.
    std::uint64_t output_wanted() const noexcept {
        // seq_cst: pairs with the worker's store before it looks whether we sleep.
        return view().header().output_wanted.load(order::seq_cst);
    }
    /// Gives the running task what was printed, and lets the worker go on. False: it asks for what cannot be.
    bool hand_over_output(std::uint64_t wanted) noexcept;

    /// A thread that waits for the task at `index`, and looks after the lane meanwhile (attend.cpp). It lives as long as
    /// it is on the books, and is woken when the task leaves them.
    struct attendant {
        std::uint64_t index = 0;
        atomic<bool> dismissed{false};
    };
    bool is_attended() const noexcept { return attendant_ != nullptr; }
    void attend(attendant& thread) noexcept;
    void dismiss_attendant() noexcept;
    /// The supervisor is about to sleep, or is awake again: who is not attended tells it of results. While it `naps`, which
    /// is for a millisecond at most, it is not woken for each of many; while it `dozes`, which is as short, for none, since
    /// there are threads that take them.
    enum class supervisor : std::uint8_t { awake, dozes, naps, sleeps };
    void supervisor_is(supervisor now) noexcept;

    void wake() noexcept; // without the lock, too
    void tell_to_stop() noexcept;
    /// Kills the worker if, and only if, it still holds the task at `index`. True: killed.
    bool kill_holding(std::uint64_t index) noexcept;
    void kill() noexcept;

    // Who it is.
    const std::uint32_t worker;
    const std::uint64_t number;  // of the incarnation
    const std::uint32_t at_once; // 0: it runs one task after the other
    stage state = stage::starting;
    int pid = 0;
    unique_fd process;                // its pidfd
    unique_fd lifeline;               // closes with us: then the kernel kills it
    unique_fd memory;                 // until it is forked
    unique_fd lifeline_far;           // until it is forked
    unique_fd post;                   // for the descriptors of handles
    unique_fd post_far;               // until it is forked
    std::int64_t post_again = 0;      // the kernel would not take them: not before then
    std::int64_t post_since = 0;      // and has not since then
    bool asked = false;               // the helper was asked for it
    std::int64_t answer_deadline = 0; // of the helper, when asked
    bool unanswered = false;          // the helper ended before it said whether there is a process
    bool orphan = false;              // its helper is gone: nobody will tell how it ends
    bool ended = false;               // its pidfd is readable
    bool stopping = false;            // a task was asked to stop, and is killed if it does not
    bool occupied = false;            // its task takes long: nothing is to wait behind it
    bool severed = false;             // its end of the lifeline is closed, and perhaps its bell
    std::int64_t ended_at = 0;
    bool exit_known = false;
    bool end_noted = false; // for on_worker_event
    int exit_code = 0;
    int exit_status = 0;
    std::int64_t peak_memory = 0; // bytes, when its end is known
    std::int64_t start_deadline = 0;
    std::int64_t stop_deadline = 0; // 0: not told to stop
    bool killed_by_us = false;
    bool damaged = false;           // what it says makes no sense
    bool too_large = false;         // it has more memory than it may, and no task
    std::exception_ptr start_error; // what its initialiser threw
    const char* killed_because = "";
    int least_urgent = 0;       // of the priorities placed since it was empty
    std::uint64_t placed = 0;   // tasks given to it and not taken back, its setup included
    std::uint64_t finished = 0; // its setup not included
    std::uint32_t timed = 0;    // outstanding tasks with a timeout

    captured_output output;         // of the running task, if it is to be captured
    unique_fd output_far;           // until it is forked
    std::uint64_t output_taken = 0; // what the worker was told last

    // The books.
    std::uint64_t oldest = 0;
    std::uint64_t unfinished = 0;
    std::uint64_t tail = 0;
    process_task* task_at(std::uint64_t index) const noexcept { return entries_[view().number(index)].task; }
    /// Takes the task off the books: it has ended, or moves to another lane.
    process_task* forget(std::uint64_t index) noexcept;

  private:
    struct entry {
        process_task* task = nullptr;
        block_reference block;
        std::uint32_t generation = 0; // on a loop
    };
    bool send_descriptors(process_task& task) noexcept;
    bool take_result(process_task& task, std::size_t there);
    /// The kernel has not taken them for longer than anybody should wait.
    bool is_post_stuck() const noexcept;
    bool take_handles(std::uint64_t task, descriptor_list& into);
    std::uint64_t next_index() noexcept;
    bool loop_needs_attention() noexcept;
    bool read_result(std::uint64_t index, process_result& result, bool& streamed, std::uint32_t& elapsed);
    block_reference allocate(std::size_t size, std::uint64_t index) noexcept;
    void release(const block_reference& block) noexcept;

    struct arrival {
        std::uint64_t task = 0;
        descriptor_list handles;
    };
    std::vector<arrival> arrived_; // of results that have not been looked at
    shared_mapping mapping_;
    const std::uint32_t slots_;
    std::vector<entry> entries_;
    // On a loop: tasks end in any order, so slots are filled in any order, and a queue in the lane says which
    // one is next.
    std::vector<std::uint64_t> live_;
    std::vector<std::uint32_t> free_slots_;
    std::uint64_t pushed_ = 0;
    std::vector<std::uint32_t> free_blocks_[std::size(block_classes)];
    std::uint64_t outstanding_ = 0;
    std::uint32_t held_back_ = 0; // tasks for which a worker that sleeps was not woken
    attendant* attendant_ = nullptr;
    supervisor supervisor_ = supervisor::awake;
};

} // namespace plait::detail
