// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"

#include "sys/errors.hpp"
#include "sys/event_descriptor.hpp"
#include "sys/futex.hpp"
#include "sys/pidfd.hpp"
#include "sys/process_id.hpp"

#include <plait/detail/context.hpp>
#include <plait/detail/process_map.hpp>
#include <plait/errors.hpp>
#include <plait/processors.hpp>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::uint64_t submits_between_harvests = 64;
constexpr std::int64_t patience_with_helper = 10'000'000'000;
constexpr const char* helper_ended_at_once =
    "process_pool: its helper process ended at once; does the program end before plait::program is made?";

void watch(int epoll, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) throw_errno("process_pool: epoll_ctl");
}

} // namespace

process_engine::process_engine(process_engine_options options)
    : failures_{make_failure_handler("process_pool", std::move(options.on_unhandled))},
      options_{std::move(options)},
      process_{this_process()},
      spins_{available_processors() > options_.workers},
      bell_{above_stdio(unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)})},
      epoll_{above_stdio(unique_fd{::epoll_create1(EPOLL_CLOEXEC)})} {
    if (!bell_) throw_errno("process_pool: eventfd");
    if (!epoll_) throw_errno("process_pool: epoll_create1");
    watch(epoll_.get(), bell_.get());

    endings_.reserve(endings_at_once);
    helper_.start();
    seats_.resize(options_.workers);
    // All are forked before the constructor returns, or it throws and none stays behind (the helper's end is
    // theirs).
    std::int64_t deadline = monotonic_now() + patience_with_helper;
    std::uint32_t asked = 0;
    for (std::size_t started = 0; started < seats_.size();) {
        for (; asked < seats_.size() && asked < started + most_requests; ++asked) {
            hire(asked);
            const int error = ask_helper_for(*seats_[asked].lane);
            if (error == EPIPE || error == ECONNRESET) throw std::runtime_error{helper_ended_at_once};
            if (error != 0) std::rethrow_exception(cannot_start(asked, error));
        }
        pollfd entry{helper_.channel(), POLLIN, 0};
        const int left = static_cast<int>((deadline - monotonic_now()) / 1'000'000);
        if (left <= 0) throw std::runtime_error{"process_pool: its helper process does not answer"};
        if (::poll(&entry, 1, left) <= 0) continue;
        read_helper();
        if (!helper_.alive()) throw std::runtime_error{helper_ended_at_once};
        if (last_failure_) std::rethrow_exception(last_failure_);
        const std::size_t before = std::exchange(started, 0);
        for (const seat& s : seats_)
            if (s.lane && s.lane->process) ++started;
        if (started != before) deadline = monotonic_now() + patience_with_helper;
    }
    add_reference(); // the thread's
    try {
        supervisor_ = std::thread{[this] {
            supervise();
            drop_reference();
        }};
    } catch (...) {
        helper_.stop();
        throw;
    }
}

void process_engine::check_process() const {
    if (this_process() != process_)
        throw std::logic_error{
            "process_pool: this process was forked from the pool's owner; a pool works only in the "
            "process that made it"};
}

void process_engine::wake_supervisor() noexcept { ring_event(bell_.get()); }

void process_engine::submit(process_task& task) {
    check_process();
    process_task* one = &task;
    take(std::span{&one, 1});
}

void process_engine::submit(std::span<map_record> records) {
    check_process();
    constexpr std::size_t most = 64; // a batch's
    std::array<process_task*, most> some;
    std::size_t count = 0;
    for (map_record& r : records)
        if (!r.is_there()) some[count++] = &r;
    if (count != 0) take(std::span{some}.first(count));
}

// All have the same priority.
void process_engine::take(std::span<process_task* const> tasks) {
    std::exception_ptr refusal;
    bool full = false;
    bool timed = tasks.front()->timeout != 0; // they may be gone once they are queued
    {
        const std::lock_guard guard{mutex_};
        if (closing_) throw shutdown_error{"process_pool: submit after shutdown"};
        const std::uint64_t before = next_number_;
        for (process_task* task : tasks) task->number_ = next_number_++;
        open_ += tasks.size();
        refusal = broken_;
        if (!refusal) {
            for (process_task* task : tasks) pending_.push_back(*task);
            recall_less_urgent_than(*tasks.front());
            // A thread that belongs to no executor says so when it waits (attend, hurry).
            const bool free_thread = current().worker == nullptr;
            dispatch(!free_thread);
            timed = timed || placed_timed_; // it, or one that has waited for its place
            full = free_thread && !pending_.empty() &&
                   before / submits_between_harvests != next_number_ / submits_between_harvests;
        }
    }
    if (refusal) {
        for (process_task* task : tasks) {
            ending e{task, {}};
            e.result.what = process_result::kind::failed;
            e.result.error = refusal;
            deliver(e);
        }
    } else if (timed) {
        wake_supervisor(); // its deadline may be the next one
    }
    if (full) make_room();
}

bool process_engine::cancel(process_task& task, process_cancel how) noexcept {
    if (this_process() != process_) return false;
    {
        const std::lock_guard guard{mutex_};
        switch (task.stage_) {
        case process_task::stage::fresh:
        case process_task::stage::ended:
            return false;
        case process_task::stage::pending:
            pending_.remove(task);
            break;
        case process_task::stage::placed:
            if (!task.lane_->withdraw(task.index_)) {
                if (task.lane_->at_once != 0) {
                    if (task.lane_->phase(task.index_) != slot_phase::running) return false;
                    ask_to_stop(*task.lane_, task, process_task::doom::cancelled,
                                how == process_cancel::kill);
                    wake_supervisor();
                    return true;
                }
                if (how != process_cancel::kill || task.doom_ != process_task::doom::none) return false;
                if (!task.lane_->kill_holding(task.index_)) return false; // it has just finished
                task.doom_ = process_task::doom::cancelled;
                task.lane_->killed_because = "its task was cancelled by cancel_mode::kill";
                return true;
            }
            break;
        }
        task.stage_ = process_task::stage::ended;
    }
    ending e{&task, {}};
    deliver(e);
    return true;
}

void process_engine::shutdown(bool wait, bool cancel_pending, bool kill) {
    check_process();
    pending_tasks refused;
    {
        const std::lock_guard guard{mutex_};
        closing_ = true;
        killing_ = killing_ || kill;
        if (cancel_pending || kill) {
            for_each_lane([&](parent_lane& lane) {
                while (process_task* task = lane.withdraw_last()) pending_.put_back(*task);
            });
            while (process_task* task = pending_.pop_front()) {
                refused.push_back(*task);
                task->stage_ = process_task::stage::ended;
            }
        }
        if (cancel_pending && !kill) {
            for_each_lane([&](parent_lane& lane) {
                if (lane.at_once == 0) return;
                lane.for_each_index([&](std::uint64_t index) {
                    process_task* task = lane.task_at(index);
                    if (!task->setup) ask_to_stop(lane, *task, process_task::doom::cancelled, false);
                });
            });
        }
        if (kill) {
            for_each_lane([&](parent_lane& lane) {
                lane.for_each_index([&](std::uint64_t index) {
                    if (lane.phase(index) == slot_phase::running)
                        lane.task_at(index)->doom_ = process_task::doom::killed;
                });
                lane.killed_because = "shutdown({.kill = true})";
                lane.kill();
            });
        }
    }
    while (process_task* task = refused.pop_front()) {
        ending e{task, {}};
        if (!cancel_pending) {
            e.result.what = process_result::kind::failed;
            e.result.error = killed_unbegun();
        }
        deliver(e);
    }
    wake_supervisor();
    if (!wait) return;
    std::unique_lock guard{mutex_};
    if (std::this_thread::get_id() == supervisor_id_)
        throw std::logic_error{
            "process_pool: shutdown that waits, called from a continuation that runs on the pool's own "
            "thread; it would wait for itself"};
    changed_.wait(guard, [&] { return over_; });
    if (!std::exchange(joining_, true)) {
        guard.unlock();
        supervisor_.join();
        guard.lock();
        joined_ = true;
        changed_.notify_all();
    }
    changed_.wait(guard, [&] { return joined_; });
}

std::size_t process_engine::status(process_worker_status* into, std::size_t count) {
    check_process();
    const std::lock_guard guard{mutex_};
    std::size_t written = 0;
    for (seat& s : seats_) {
        if (written == count) break;
        process_worker_status& w = into[written++];
        w = {};
        if (!s.lane) continue;
        w.pid = s.lane->pid;
        w.tasks = s.lane->finished;
        w.ready = s.lane->state == parent_lane::stage::ready;
        if (const process_task* task = s.lane->running(); task != nullptr && !task->setup)
            w.task = task->number();
    }
    return written;
}

void process_engine::signal_all(int signal) noexcept {
    if (this_process() != process_) return;
    const std::lock_guard guard{mutex_};
    for_each_lane([&](const parent_lane& lane) {
        if (lane.process && !lane.ended) signal_process(lane.process, signal);
    });
}

void process_engine::destroy(process_engine* engine) noexcept {
    if (this_process() != engine->process_) return; // in a forked child: its threads and workers are not here
    {
        const std::lock_guard guard{engine->mutex_};
        if (std::this_thread::get_id() == engine->supervisor_id_) {
            engine->closing_ = true;
            engine->supervisor_.detach(); // it has a reference of its own
            engine->joining_ = engine->joined_ = true;
            engine->drop_reference();
            return;
        }
    }
    engine->shutdown(true, false, false);
    engine->drop_reference();
}

// ------------------------------------------------------------------------------------------------------------------

process_engine* make_process_engine(process_engine_options options) {
    return new process_engine{std::move(options)};
}

void destroy_process_engine(process_engine* engine) noexcept { process_engine::destroy(engine); }

void retain(process_engine& engine) noexcept { engine.add_reference(); }

void release(process_engine& engine) noexcept { engine.drop_reference(); }

void report_unhandled(process_engine& engine, const std::exception_ptr& error,
                      const char* task_name) noexcept {
    engine.failures().tell(error, task_name);
}

void submit_to(process_engine& engine, process_task& task) { engine.submit(task); }

void submit_all_to(process_engine& engine, std::span<map_record> records) { engine.submit(records); }

void hurry_in(process_engine& engine) noexcept { engine.hurry(); }

void attend_in(process_engine& engine, process_task& task) noexcept { engine.attend(task); }

bool cancel_in(process_engine& engine, process_task& task, process_cancel how) noexcept {
    return engine.cancel(task, how);
}

void shut_down(process_engine& engine, bool wait, bool cancel_pending, bool kill) {
    engine.shutdown(wait, cancel_pending, kill);
}

void signal_workers(process_engine& engine, int signal) noexcept { engine.signal_all(signal); }

std::size_t copy_status(process_engine& engine, process_worker_status* into, std::size_t count) {
    return engine.status(into, count);
}

} // namespace plait::detail
