// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"
#include "sys/futex.hpp"
#include "sys/resident.hpp"

#include <algorithm>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::int64_t between_memory_looks = 250'000'000; // nanoseconds

} // namespace

void process_engine::note(noted_event event) noexcept {
    if (!options_.on_worker_event) return;
    try {
        events_.push_back(std::move(event));
    } catch (...) { // memory is short: one event less
    }
}

void process_engine::note_started(const parent_lane& lane) noexcept {
    note({{.what = worker_event::kind::started,
           .worker = lane.worker,
           .pid = lane.pid,
           .replacement = lane.number > seats_.size()}});
    if (lane.state != parent_lane::stage::starting) note_ready(lane);
}

void process_engine::note_ready(const parent_lane& lane) noexcept {
    if (lane.pid == 0) return; // faster than the helper's word that it has begun
    note({{.what = worker_event::kind::ready, .worker = lane.worker, .pid = lane.pid}});
}

void process_engine::note_end(const parent_lane& lane, const process_task* held) noexcept {
    if (!options_.on_worker_event || lane.pid == 0) return; // it has never been
    const bool as_told = lane.stop_deadline != 0 && !lane.killed_by_us && held == nullptr;
    noted_event ended{{.what = as_told ? worker_event::kind::retired : worker_event::kind::lost,
                       .worker = lane.worker,
                       .pid = lane.pid,
                       .task = held != nullptr ? held->number() : 0}};
    try {
        if (lane.start_error)
            ended.event.text = describe(lane.start_error);
        else if (!as_told)
            ended.death = std::make_unique<death_report>(report_of(lane, held));
    } catch (...) { // memory is short: it has no text
    }
    note(std::move(ended));
}

bool process_engine::tell_events() noexcept {
    if (!options_.on_worker_event) return false;
    std::vector<noted_event> events;
    {
        const std::lock_guard guard{mutex_};
        events.swap(events_);
    }
    for (noted_event& e : events) {
        try {
            if (e.death) e.event.text = describe(error_of(std::move(*e.death)));
            options_.on_worker_event(e.event);
        } catch (...) {
            failures_->tell(std::current_exception(), "on_worker_event");
        }
    }
    return !events.empty();
}

// What the limit of the process itself does not see, above all memory that is shared with others.
std::int64_t process_engine::check_memory(std::int64_t now) noexcept {
    const std::uint64_t limit = options_.settings.memory_limit;
    if (limit == 0) return no_deadline;
    if (now < next_memory_look_) return next_memory_look_;
    next_memory_look_ = now + between_memory_looks;
    for_each_lane([&](parent_lane& lane) {
        if (lane.pid == 0 || lane.ended || lane.killed_by_us) return;
        if (resident_memory(lane.pid) <= limit + lane_size) return;
        process_task* task = lane.running();
        if (task == nullptr || task->setup) {
            lane.too_large = true; // it goes when it has nothing to do
        } else if (lane.kill_holding(task->index_)) {
            lane.killed_because = "it had more memory than .memory_limit";
        }
    });
    return next_memory_look_;
}

} // namespace plait::detail
