// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"
#include "process/slot_stream.hpp"
#include "sys/errors.hpp"
#include "sys/futex.hpp"

#include <plait/errors.hpp>
#include <plait/remote_error.hpp>

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::int64_t millisecond = 1'000'000;
constexpr std::int64_t pauses[] = {0, 10 * millisecond, 50 * millisecond, 200 * millisecond};
constexpr int failures_until_broken = 5;
constexpr std::int64_t pause_after_idle_death = 10 * millisecond;
constexpr std::int64_t grace_at_stop = 5'000 * millisecond;
// Between the end of a worker, seen by its pidfd, and the helper's word on how it ended.
constexpr std::int64_t patience_for_exit = 1'000 * millisecond;

std::exception_ptr broken_by(const std::exception_ptr& cause) noexcept {
    try {
        const std::string text = "process_pool: broken: " + std::to_string(failures_until_broken) +
                                 " workers in a row ended before they were ready; last cause: ";
        try {
            std::rethrow_exception(cause);
        } catch (const std::exception& e) {
            std::throw_with_nested(pool_broken{text + e.what()});
        } catch (...) {
            std::throw_with_nested(
                pool_broken{text + "the initializer threw something that is no std::exception"});
        }
    } catch (...) {
        return std::current_exception(); // or bad_alloc, if there is no memory for the words
    }
}

std::string cause_of(const parent_lane& lane, const worker_lost::details& d) {
    if (lane.killed_by_us) return lane.killed_because;
    const bool exited = lane.exit_known && lane.exit_code == CLD_EXITED;
    if (exited && lane.exit_status == exit_without_bell)
        return "its task closed descriptors that are not its own";
    if (d.signal == SIGKILL)
        return "from outside, not by the pool: if nobody else did it, likely the kernel, short of memory "
               "(see "
               "dmesg)";
    if (exited) return "a task must not end its process; return or throw instead";
    return {};
}

std::string reason_of(const parent_lane& lane, const worker_lost::details& d) {
    std::string reason = cause_of(lane, d);
    if (d.attempts < 2) return reason;
    return reason + (reason.empty() ? "" : "; ") + "it is not tried again, since it has ended " +
           std::to_string(d.attempts) + " workers";
}

} // namespace

std::exception_ptr killed_unbegun() noexcept {
    try {
        return std::make_exception_ptr(
            shutdown_error{"process_pool: shut down with .kill before the task was begun"});
    } catch (...) {
        return std::current_exception();
    }
}

std::exception_ptr timeout_of(const process_task& task) noexcept {
    try {
        const std::string name = *task.name != '\0' ? " '" + std::string{task.name} + "'" : std::string{};
        return std::make_exception_ptr(timeout_error{"process_pool: task #" + std::to_string(task.number_) +
                                                     name +
                                                     " took longer than its .timeout; it was stopped"});
    } catch (...) {
        return std::current_exception();
    }
}

death_report process_engine::report_of(const parent_lane& lane, const process_task* task) const {
    death_report report;
    worker_lost::details& d = report.details;
    d.pid = lane.pid;
    d.worker = lane.worker;
    d.status = -1;
    d.peak_memory = lane.peak_memory;
    if (lane.exit_known && lane.exit_code == CLD_EXITED) d.status = lane.exit_status;
    if (lane.exit_known && (lane.exit_code == CLD_KILLED || lane.exit_code == CLD_DUMPED)) {
        d.signal = lane.exit_status;
        d.status = 0;
    }
    if (task != nullptr) {
        d.task = task->number_;
        d.function = task->name;
        d.attempts = task->attempts_;
        d.most_attempts = task->retries + 1;
        if (task->notes_ != nullptr) {
            d.earlier = task->notes_->earlier;
            d.output = task->notes_->output;
        }
        if (task->began_ != 0) d.duration = std::max<std::int64_t>(lane.ended_at - task->began_, 1);
    }
    d.reason = reason_of(lane, d);
    if (lane.ended && !lane.killed_by_us) {
        auto crash = std::make_unique<crash_record>(lane.view().crash());
        if (crash->signal != 0 || crash->thrown != 0) report.crash = std::move(crash);
    }
    return report;
}

std::exception_ptr process_engine::lost(const parent_lane& lane, const process_task* task) const noexcept {
    try {
        return error_of(report_of(lane, task));
    } catch (...) {
        return std::current_exception();
    }
}

// What it had printed before it died, and its children, which the helper has killed before it told of its
// end.
void process_engine::take_last_output(parent_lane& lane, process_task& task) noexcept {
    if (!lane.output.is_open()) return;
    try {
        lane.output.read();
        // Where it had handed over what it printed, and died before it was done, that is all.
        if (std::string text = lane.output.take(); !text.empty()) task.make_notes().output = std::move(text);
    } catch (...) { // memory is short: it is only what was printed
    }
}

// How one attempt ended, for the message of the last one.
void process_engine::note_attempt(const parent_lane& lane, process_task& task) noexcept {
    constexpr std::size_t enough = 200;
    try {
        std::string& earlier = task.make_notes().earlier;
        if (earlier.size() > enough) return;
        std::string how = "unknown";
        if (lane.exit_known)
            how = lane.exit_code == CLD_EXITED ? "exit status " + std::to_string(lane.exit_status)
                                               : signal_text(lane.exit_status);
        earlier += (earlier.empty() ? "" : ", ") + how;
    } catch (...) { // memory is short: it is only for the message
    }
}

void process_engine::end_held_task(parent_lane& lane, process_task& task, std::vector<ending>& ended) {
    ++task.attempts_;
    if (task.doom_ == process_task::doom::none && !killing_ && task.attempts_ <= task.retries) {
        note_attempt(lane, task);
        pending_.put_back(task);
        return;
    }
    ended.push_back({&task, {}});
    process_result& result = ended.back().result;
    task.stage_ = process_task::stage::ended;
    switch (task.doom_) {
    case process_task::doom::cancelled:
        result.what = process_result::kind::cancelled;
        break;
    case process_task::doom::timed_out:
        result.what = process_result::kind::failed;
        result.error = timeout_of(task);
        break;
    case process_task::doom::none:
    case process_task::doom::killed:
        result.what = process_result::kind::failed;
        try {
            ended.back().death = std::make_unique<death_report>(report_of(lane, &task));
        } catch (...) {
            result.error = std::current_exception(); // only memory can be short here
        }
        break;
    }
}

bool process_engine::bury_if_dead(parent_lane& lane, std::int64_t now, std::vector<ending>& ended) {
    if (!lane.ended) return false;
    // Death is certain. What is still unknown is how: the helper will say.
    if (!lane.exit_known && !lane.orphan && now < lane.ended_at + patience_for_exit) return false;

    for (std::uint64_t index = 0; (index = lane.first_index()) != parent_lane::none;) {
        const slot_phase phase = lane.phase(index);
        const std::int64_t began = lane.started(index);
        if (is_full(ended)) return false; // when these are told it goes on
        process_task* task = lane.forget(index);
        if (task->setup) {
            task->drop_reference();
            continue;
        }
        if (phase == slot_phase::queued && !killing_) {
            pending_.put_back(
                *task); // it was never begun: another worker takes it, and no attempt is counted
        } else if (phase == slot_phase::queued) {
            task->stage_ = process_task::stage::ended;
            ended.push_back({task, {}});
            ended.back().result.what = process_result::kind::failed;
            ended.back().result.error = killed_unbegun();
        } else {
            lane.view().slot(index).state.bury(lane.view().generation(index));
            take_last_output(lane, *task);
            task->began_ = began;
            if (task->began_ < 0 || task->began_ > lane.ended_at) task->began_ = 0; // a damaged lane
            end_held_task(lane, *task, ended);
            note_end(lane, task); // still there: it is told of later
            lane.end_noted = true;
        }
    }
    if (!lane.end_noted) note_end(lane, nullptr);
    lane.unfinished = lane.tail;
    lane.state = parent_lane::stage::dead;
    return true;
}

void process_engine::start_failed(seat& s, start_failure how, const std::exception_ptr& cause,
                                  std::int64_t now) noexcept {
    s.not_before = count_start_failure(how, cause, now);
}

// Returns when the next attempt may be made.
std::int64_t process_engine::count_start_failure(start_failure how, const std::exception_ptr& cause,
                                                 std::int64_t now) noexcept {
    const auto pause =
        std::min<std::size_t>(static_cast<std::size_t>(failures_in_a_row_), std::size(pauses) - 1);
    const std::int64_t next = now + pauses[pause];
    last_failure_ = cause;
    if (++failures_in_a_row_ < failures_until_broken || broken_) return next;
    // Where the system only has no room for one more process, those that live go on; it may have some again.
    bool one_lives = false;
    for_each_lane([&](const parent_lane& lane) { one_lives = one_lives || (lane.process && !lane.ended); });
    if (how == start_failure::before_ready || !one_lives) broken_ = broken_by(cause);
    return next;
}

// It has closed its end of the lifeline: it dies, or its task has closed all descriptors. Then nothing ties
// it to us, and its bell may be gone as well. The task that it holds, which may be another one by now, goes
// on to its end; nothing else is begun there.
void process_engine::end_if_severed(parent_lane& lane) noexcept {
    if (!lane.severed || lane.ended || lane.killed_by_us) return;
    if (lane.stop_deadline != 0) return;                    // it leaves, as it was told to
    if (lane.state == parent_lane::stage::starting) return; // it dies, or ends itself after its initialiser
    while (process_task* task = lane.withdraw_last()) pending_.put_back(*task);
    if (lane.running() != nullptr) return;
    lane.killed_because = "its task closed descriptors that are not its own";
    lane.kill();
}

void process_engine::let_go_if_idle(parent_lane& lane, std::int64_t now) noexcept {
    if (lane.outstanding() != 0 || lane.stop_deadline != 0) return;
    lane.tell_to_stop();
    lane.stop_deadline = now + grace_at_stop;
}

void process_engine::tend_seat(seat& s, std::int64_t now, std::vector<ending>& ended) {
    parent_lane& lane = *s.lane;
    const bool starting = lane.state == parent_lane::stage::starting;
    if (starting && !lane.ended && lane.start_deadline != 0 && now >= lane.start_deadline &&
        !lane.killed_by_us) {
        lane.killed_because = "its initializer took longer than .start_timeout";
        lane.kill();
    }
    const bool held = lane.running() != nullptr;
    if (bury_if_dead(lane, now, ended)) {
        if (killing_ || lane.stop_deadline != 0) {
            // It was told to go.
        } else if (lane.unanswered) {
            // Counted once for all of them, when the helper was seen to be gone.
        } else if (starting) {
            start_failed(s, lane.pid == 0 ? start_failure::no_process : start_failure::before_ready,
                         lane.start_error ? lane.start_error : lost(lane, nullptr), now);
        } else if (!held && lane.finished == 0) {
            s.not_before = now + pause_after_idle_death; // something kills idle workers: not in a tight loop
        }
        s.lane.reset();
    } else if (lane.state == parent_lane::stage::ready && exhausted(lane)) {
        lane.state = parent_lane::stage::retiring;
        try {
            retiring_.reserve(retiring_.size() + 1);
            retiring_.push_back(
                std::move(s.lane)); // its successor starts while it still works on what it has
        } catch (...) {             // memory is short: its successor starts when it has gone
        }
    } else if (lane.state == parent_lane::stage::retiring) {
        let_go_if_idle(lane, now);
    }
}

void process_engine::fill_seats(std::int64_t now) {
    std::size_t requests = unanswered_requests();
    for (std::uint32_t worker = 0; worker < seats_.size(); ++worker) {
        seat& s = seats_[worker];
        if (s.lane || now < s.not_before || broken_) continue;
        if (requests++ >= most_requests) return; // an answer wakes us
        int error = 0;
        try {
            hire(worker);
            error = ask_for(*s.lane);
        } catch (const std::system_error& e) {
            error = e.code().value();
        } catch (const std::bad_alloc&) {
            error = ENOMEM;
        }
        if (error == 0) continue;
        if (s.lane) {
            if (process_task* task = s.lane->forget(0)) task->drop_reference();
            s.lane.reset();
        }
        start_failed(s, start_failure::no_process, cannot_start(worker, error), now);
        // The next attempt is a later turn's, and somebody has to wake us for it.
        s.not_before = std::max(s.not_before, now + millisecond);
    }
}

void process_engine::retire_all(std::int64_t now) noexcept {
    bool any = false;
    for_each_lane([&](parent_lane& lane) {
        any = true;
        if (lane.stop_deadline != 0) return;
        lane.tell_to_stop();
        lane.stop_deadline = now + grace_at_stop;
    });
    if (any || open_ != 0) return;
    helper_.stop();
    over_ = true;
}

std::int64_t process_engine::next_deadline(std::int64_t now) noexcept {
    std::int64_t next = no_deadline;
    for_each_lane([&](parent_lane& lane) {
        if (lane.ended) {
            next = std::min(next, lane.ended_at + patience_for_exit);
            return;
        }
        next = std::min(next, deadline_of_answer(lane));
        if (lane.state == parent_lane::stage::starting && lane.start_deadline != 0 && !lane.killed_by_us)
            next = std::min(next, lane.start_deadline);
        if (lane.stop_deadline == 0 || lane.killed_by_us) return;
        if (now >= lane.stop_deadline) {
            lane.killed_because = "it did not leave within 5 s of shutdown";
            lane.kill();
        } else {
            next = std::min(next, lane.stop_deadline);
        }
    });
    for (const seat& s : seats_)
        if (!s.lane && !broken_ && s.not_before > now) next = std::min(next, s.not_before);
    return next;
}

std::int64_t process_engine::tend_workers(std::int64_t now, std::vector<ending>& ended) {
    if (helper_hangs(now)) {
        helper_.kill();
        helper_gone();
    }
    for_each_lane([&](parent_lane& lane) { end_if_severed(lane); });
    for (seat& s : seats_)
        if (s.lane) tend_seat(s, now, ended);
    for (auto lane = retiring_.begin(); lane != retiring_.end();) {
        let_go_if_idle(**lane, now);
        lane = bury_if_dead(**lane, now, ended) ? retiring_.erase(lane) : lane + 1;
    }
    // `open_` counts what is still to be told as well, so nobody leaves before the last future has its
    // result.
    if (closing_ && open_ == 0)
        retire_all(now);
    else if (!killing_ && !(closing_ && pending_.empty()))
        fill_seats(now);
    return next_deadline(now);
}

} // namespace plait::detail
