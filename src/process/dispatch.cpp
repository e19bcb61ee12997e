// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"

#include <plait/detail/exception_codec.hpp>
#include <plait/errors.hpp>

#include <algorithm>

namespace plait::detail {
namespace {

// Work that is fed ahead of a worker: enough that it never waits for us between two tasks, and not more,
// because what is ahead of a worker cannot be taken by another without a look at every lane.
constexpr double feed_ahead = 50'000;         // nanoseconds
constexpr double one_ahead_until = 1'000'000; // longer tasks are not fed ahead at all
constexpr std::int64_t long_task = 1'000'000; // nanoseconds
constexpr double tiny_task = 5'000;           // nanoseconds: a wake-up takes as long
constexpr std::size_t tiny_in_a_row = 8;
constexpr double weight_of_one = 1.0 / 8;

std::exception_ptr start_error_of(const process_result& result) noexcept {
    try {
        memory_reader in{result.bytes.data(), result.bytes.size()};
        return read_exception(
            in, {.pid = result.pid, .worker = result.worker, .task = 0, .function = "initializer"});
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace

std::size_t process_engine::depth(const parent_lane& lane) const noexcept {
    if (lane.at_once != 0) return lane.at_once;
    if (mean_ >= one_ahead_until) return 1;
    const double wanted = feed_ahead / std::max(mean_, 1.0);
    return static_cast<std::size_t>(std::clamp(wanted, 2.0, static_cast<double>(slots_per_lane)));
}

bool process_engine::exhausted(const parent_lane& lane) const noexcept {
    return lane.too_large || (options_.max_tasks_per_worker != 0 &&
                              lane.placed > options_.max_tasks_per_worker); // its setup counts as one
}

bool process_engine::takes_tasks(const parent_lane* lane) const noexcept {
    return lane != nullptr && lane->state == parent_lane::stage::ready && !lane->ended && !lane->severed &&
           !lane->killed_by_us && !exhausted(*lane);
}

parent_lane* process_engine::best_lane() noexcept {
    parent_lane* best = nullptr;
    for (const seat& s : seats_) {
        parent_lane* lane = s.lane.get();
        if (!takes_tasks(lane)) continue;
        if (lane->occupied && lane->outstanding() != 0) continue;
        if (best == nullptr || lane->outstanding() < best->outstanding()) best = lane;
    }
    if (best == nullptr || best->outstanding() >= depth(*best)) return nullptr;
    if (!best->has_room()) best->recycle();
    return best->has_room() ? best : nullptr;
}

void process_engine::dispatch(bool urgent) noexcept {
    if (killing_) return;
    urgent = urgent || mean_ > tiny_task;
    while (!pending_.empty()) {
        parent_lane* lane = best_lane();
        if (lane == nullptr) return;
        // To look for the best one costs as much as to place a task.
        std::size_t row = 1;
        if (!urgent && options_.max_tasks_per_worker == 0)
            row = std::min<std::size_t>(tiny_in_a_row, depth(*lane) - lane->outstanding());
        for (; row != 0 && lane->has_room(); --row) {
            process_task* task = pending_.pop_front();
            if (task == nullptr) return;
            task->stage_ = process_task::stage::placed;
            placed_timed_ = placed_timed_ || task->timeout != 0;
            if (lane->place(*task, static_cast<std::uint32_t>(task->attempts_) + 1, result_hint_, urgent))
                holds_back_.store(true, order::relaxed); // see hurry()
        }
    }
}

// What was fed ahead waits for as long as the task before it takes, and nobody knows how long that is:
// something more urgent is not to wait behind it. Costs some 50 ns for each that is taken back, and nothing
// where all have the same priority.
void process_engine::recall_less_urgent_than(const process_task& task) noexcept {
    for_each_lane([&](parent_lane& lane) {
        if (lane.outstanding() < 2 || lane.least_urgent <= task.priority) return;
        while (process_task* waiting = lane.withdraw_last()) pending_.put_back(*waiting);
    });
}

// What was fed ahead of a worker, which then got a long task, or had one already, would wait for as long as
// others find newer work in the queue. It goes back to its place there.
void process_engine::take_from_behind_long_tasks(std::int64_t now) noexcept {
    if (killing_) return;
    for_each_lane([&](parent_lane& lane) {
        lane.occupied = false;
        const process_task* task = lane.ended ? nullptr : lane.running();
        if (task == nullptr || lane.at_once != 0) return;
        const std::int64_t started = lane.started(task->index_);
        lane.occupied = started != 0 && now - started > long_task;
        if (!lane.occupied) return;
        while (process_task* waiting = lane.withdraw_last()) pending_.put_back(*waiting);
    });
}

void process_engine::spread() noexcept {
    if (killing_ || !pending_.empty()) return;
    for (const seat& s : seats_) {
        parent_lane* idle = s.lane.get();
        if (!takes_tasks(idle) || idle->outstanding() != 0) continue;
        parent_lane* busiest = nullptr;
        for_each_lane([&](parent_lane& lane) {
            if (lane.state != parent_lane::stage::starting && !lane.ended && lane.outstanding() > 1 &&
                (busiest == nullptr || lane.outstanding() > busiest->outstanding()))
                busiest = &lane;
        });
        if (busiest == nullptr) return;
        // Half of what waits there, from the end: what is withdrawn leaves a gap that the worker steps over.
        for (std::uint64_t share = busiest->outstanding() / 2; share-- > 0;) {
            process_task* task = busiest->withdraw_last();
            if (task == nullptr) break;
            pending_.put_back(*task);
        }
        dispatch();
        if (!pending_.empty()) return;
    }
}

void process_engine::collect(parent_lane& lane, std::vector<ending>& ended) {
    while (!is_full(ended)) {
        ending& e = ended.emplace_back(); // results are moved as little as possible
        process_result& result = e.result;
        bool streamed = false;
        std::uint32_t elapsed = 0;
        process_task* task = e.task = lane.harvest(result, streamed, elapsed);
        if (task == nullptr) {
            ended.pop_back();
            break;
        }
        if (lane.damaged) {
            if (!lane.killed_by_us) lane.killed_because = lane_damaged;
            lane.kill();
            ++task->attempts_;
            result.error = lost(lane, task);
        }
        if (task->setup) {
            if (result.what == process_result::kind::value) {
                lane.state = parent_lane::stage::ready;
                failures_in_a_row_ = 0;
                note_ready(lane);
            } else {
                lane.start_error = result.error;
                if (!lane.start_error) lane.start_error = start_error_of(result);
                lane.kill();
            }
            task->drop_reference();
            ended.pop_back();
            continue;
        }
        ++lane.finished;
        lively_ = true;
        mean_ += (static_cast<double>(elapsed) - mean_) * (mean_ >= 1e9 ? 1.0 : weight_of_one);
        if (streamed && result.bytes.size() <= block_classes[std::size(block_classes) - 1].size)
            result_hint_ = std::max(result_hint_, result.bytes.size());
        task->stage_ = process_task::stage::ended;
        // It stopped because it was asked to: by whom is what its future says.
        if (result.what == process_result::kind::cancelled && task->doom_ == process_task::doom::timed_out) {
            result.what = process_result::kind::failed;
            result.error = timeout_of(*task);
        }
    }
    lane.recycle();
}

void process_engine::refuse_all(std::vector<ending>& ended) noexcept {
    while (!is_full(ended)) {
        process_task* task = pending_.pop_front();
        if (task == nullptr) return;
        task->stage_ = process_task::stage::ended;
        ended.push_back({task, {}});
        ended.back().result.what = process_result::kind::failed;
        ended.back().result.error = broken_;
    }
}

} // namespace plait::detail
