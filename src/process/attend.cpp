// SPDX-License-Identifier: Apache-2.0
#include "base/short_spin.hpp"
#include "process/process_engine.hpp"
#include "sys/futex.hpp"
#include "sys/process_id.hpp"

#include <plait/detail/context.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace plait::detail {
namespace {

// So long a thread that waits for one task of several in a lane is not woken for those before it. They are fed ahead
// because they are short; if one of them is not, whoever else waits for the others is not to wait with it.
constexpr std::int64_t nap = 200'000; // nanoseconds

} // namespace

// A thread that waits for a task could sleep until the supervisor, woken by the worker, has woken it: three wake-ups a
// round trip, where two do. So it attends to the pool itself meanwhile. It takes what has ended, of whichever task, and
// fills the lanes again; then it listens in the lane of its own task, in the supervisor's place, and is woken by the
// worker. Everything that is not everyday's work remains the supervisor's: starts, deaths, streams, descriptors,
// timeouts, output; where the lane needs that, the thread gives up and waits as for any future.
//
// Nobody sleeps for ever. The lane's word says who is told. It names the thread only while that is on the lane's books
// as attendant, which ends under the lock: by itself, or because its task has left the lane (harvested by another
// thread, withdrawn, buried, moved), and then it is woken. Whoever ends it gives the word back to the supervisor if that
// sleeps, and looks at the lane after that: the thread itself always does, by look_after_lanes.
struct process_engine::watch_of_lane {
    std::shared_ptr<parent_lane> lane; // its memory must stay as long as we sleep in it
    parent_lane::attendant thread;
    std::uint32_t word = 0; // what the lane's word holds while we sleep on it
    bool naps = true;       // only its own task is worth a wake-up
};

void parent_lane::attend(attendant& thread) noexcept { attendant_ = &thread; }

void parent_lane::dismiss_attendant() noexcept {
    attendant* const thread = std::exchange(attendant_, nullptr);
    if (thread == nullptr) return;
    supervisor_is(supervisor_);
    // release: the word's new value is there before this. It is gone only after it has had our lock.
    thread->dismissed.store(true, order::release);
    futex_wake(view().header().parent.address(), 1, futex_scope::shared);
}

void parent_lane::supervisor_is(supervisor now) noexcept {
    supervisor_ = now;
    if (attendant_ != nullptr) return; // it listens, and looks
    listener_word& word = view().header().parent;
    const std::uint64_t waiting = tail - unfinished;
    // Of a lane that is starting or retiring nobody else takes anything.
    if (now == supervisor::awake || (now == supervisor::dozes && state == stage::ready))
        word.retract();
    else if (now == supervisor::naps && at_once == 0 && waiting >= many)
        word.listen_from(listener_word::who::bell,
                         tail - waiting / 4 - 1); // in time, before it has nothing to do
    else
        word.listen(listener_word::who::bell);
}

bool process_engine::collects_for_all(const parent_lane& lane) const noexcept {
    // acquire: pairs with the end of pump_streams.
    return lane.state == parent_lane::stage::ready && !lane.ended && !lane.severed && !lane.killed_by_us &&
           !lane.damaged && lane.at_once == 0 && !lane.output.is_open() && !lane.pumping.load(order::acquire);
}

// Under the lock, in any thread but the supervisor's. True: there is something that only that can do.
bool process_engine::harvest_in_thread(std::vector<ending>& ended) noexcept {
    bool needs_supervisor = false;
    try {
        ended.reserve(endings_at_once);
        for (const seat& s : seats_) {
            if (s.lane == nullptr || !collects_for_all(*s.lane)) continue;
            collect(*s.lane, ended);
            needs_supervisor = needs_supervisor || exhausted(*s.lane) || s.lane->is_streaming();
        }
    } catch (...) { // memory is short: nothing is lost, and the supervisor tries again
        needs_supervisor = true;
    }
    if (!ended.empty()) {
        threads_harvest_ = true;
        take_from_behind_long_tasks(monotonic_now());
        dispatch();
        spread();
        if (placed_timed_) wake_supervisor(); // whose sleep may be longer than their time
    }
    return needs_supervisor;
}

// A thread that submits more than the lanes take makes room itself: the supervisor would have to be woken for it, and the
// two would be in each other's way.
void process_engine::make_room() noexcept {
    std::vector<ending> ended;
    {
        const std::lock_guard guard{mutex_};
        ended.swap(spare_endings_);
        if (harvest_in_thread(ended)) wake_supervisor();
        if (ended.empty() && spare_endings_.capacity() == 0) ended.swap(spare_endings_);
    }
    deliver(ended, spare_endings_);
}

// Under the lock.
process_engine::attendance process_engine::look_after_lanes(process_task& task, watch_of_lane& watch,
                                                            std::vector<ending>& ended) noexcept {
    bool needs_supervisor = false;
    if (watch.lane != nullptr) {
        // relaxed, here and below: it is set under the lock, which we hold.
        if (!watch.thread.dismissed.load(order::relaxed)) watch.lane->dismiss_attendant();
        // What we were woken for, and cannot look after, is the supervisor's.
        needs_supervisor = !collects_for_all(*watch.lane);
        watch.lane.reset();
    }
    needs_supervisor = harvest_in_thread(ended) || needs_supervisor;
    if (needs_supervisor) wake_supervisor();
    if (!ended.empty()) return attendance::told;
    wake_held_back();
    if (needs_supervisor || task.stage_ != process_task::stage::placed) return attendance::over;
    parent_lane& lane = *task.lane_;
    if (!collects_for_all(lane) || lane.is_attended() || !parent_lane::travels_alone(task))
        return attendance::over;
    watch.lane = lane.shared_from_this();
    watch.thread.index = task.index_;
    watch.thread.dismissed.store(false, order::relaxed);
    lane.attend(watch.thread);
    if (spins_)
        lane.view().header().parent.retract(); // we look ourselves
    else
        listen(watch);
    return attendance::listening;
}

// Under the lock, and not dismissed.
void process_engine::listen(watch_of_lane& watch) noexcept {
    listener_word& word = watch.lane->view().header().parent;
    watch.word = watch.naps ? word.listen_from(listener_word::who::thread, watch.thread.index)
                            : word.listen(listener_word::who::thread);
}

void process_engine::sleep_in(watch_of_lane& watch) noexcept {
    const auto over = [&watch] {
        // acquire: pairs with dismiss_attendant().
        return watch.thread.dismissed.load(order::acquire) ||
               watch.lane->phase(watch.thread.index) == slot_phase::done;
    };
    if (spins_) {
        static constinit thread_local short_spin spin;
        if (spin.until(over)) return;
        const std::lock_guard guard{mutex_};
        if (watch.thread.dismissed.load(order::relaxed)) return;
        listen(watch);
        // Nobody was told of anything meanwhile. A worker that has filled its ring sleeps until the supervisor has
        // emptied it, which look_after_lanes will wake.
        if (watch.lane->is_streaming() || !collects_for_all(*watch.lane)) return;
    }
    if (over()) return; // the second look
    const std::int64_t deadline = watch.naps ? monotonic_now() + nap : no_deadline;
    if (futex_wait(watch.lane->view().header().parent.address(), watch.word, deadline, futex_scope::shared) ==
        futex_result::timed_out)
        watch.naps = false;
}

void process_engine::wake_held_back() noexcept {
    holds_back_.store(false, order::relaxed);
    for_each_lane([](parent_lane& lane) { lane.wake_if_held_back(); });
}

void process_engine::hurry() noexcept {
    // relaxed: what this thread has submitted it sees, and others' is not for it to hurry.
    if (!holds_back_.load(order::relaxed)) return;
    if (this_process() != process_ || current().worker != nullptr) return;
    const std::lock_guard guard{mutex_};
    wake_held_back();
}

void process_engine::attend(process_task& task) noexcept {
    if (this_process() != process_ || current().worker != nullptr) return;
    watch_of_lane watch;
    std::vector<ending> ended;
    for (;;) {
        attendance now = attendance::over;
        {
            const std::lock_guard guard{mutex_};
            if (ended.capacity() == 0) ended.swap(spare_endings_);
            now = look_after_lanes(task, watch, ended);
            if (now == attendance::over && spare_endings_.capacity() == 0) ended.swap(spare_endings_);
        }
        if (now == attendance::over) return;
        if (now == attendance::listening) {
            sleep_in(watch);
            continue;
        }
        const bool mine = std::ranges::any_of(ended, [&](const ending& e) { return e.task == &task; });
        deliver(ended, spare_endings_);
        if (mine) return;
    }
}

} // namespace plait::detail
