// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/job.hpp>

#include <plait/detail/timer.hpp>
#include <plait/errors.hpp>
#include <string>

namespace plait::detail {

// A task's time-out. It outlives the task until the keeper's thread has dropped it: the only thread that may
// touch the timer. Two owners: the task, the keeper.
struct job_core::time_limit : timer, pooled {
    time_limit(context& scope, worker& keeper) noexcept
        : timer{&fired}, arm_{*this, &armed}, drop_{*this, &dropped}, scope_{&scope}, keeper_{keeper} {
        deadline_ = time_point::max(); // until the task begins
    }

    struct step : work {
        step(time_limit& l, function* f) noexcept : work{f}, limit{l} {}
        time_limit& limit;
    };

    static void armed(work& w) noexcept {
        time_limit& self = static_cast<step&>(w).limit;
        self.keeper_.add_timer(self);
    }
    static void fired(timer& t) noexcept {
        time_limit& self = static_cast<time_limit&>(t);
        // The word decides against the task's end: 0 runs, 1 fires (the task waits for 3), 2 over.
        std::uint32_t expected = 0;
        if (!self.phase_.compare_exchange(expected, 1)) return;
        self.scope_->stop();
        self.phase_.store(3);
    }
    static void dropped(work& w) noexcept {
        time_limit& self = static_cast<step&>(w).limit;
        self.keeper_.remove_timer(self);
        delete &self;
    }

    step arm_;
    step drop_;
    context* scope_;
    worker& keeper_;
    atomic<std::uint32_t> phase_{0}; // 0 armed, 1 is stopping the scope, 2 the task ended first, 3 it fired
};

job_core::job_core(worker& at, const submit_options& options)
    : work{nullptr}, name_{options.name}, owner_{&at}, parent_{0}, timeout_{options.timeout} {
    work::priority_ = static_cast<unsigned char>(options.priority);
    home = &at;
    // Here: if there is no keeper to be had, or no memory, the submitter hears it.
    if (timeout_ != nanoseconds::max()) limit_ = new time_limit{*this, at.keeper()};
    node = &new_task_node(options.name, options.created);
    parent_ = node->parent.load(order::relaxed);
    if (const context* parent = task_scope()) deadline = parent->deadline;
}

job_core::~job_core() {
    if (failures_) failures_->release_owner();
    delete limit_; // the task never began
}

void job_core::keep_failures() noexcept {
    if (group) return; // which throws them
    failures_ = &owner_->failures();
    failures_->add_owner();
}

void job_core::report(const std::exception_ptr& error) const noexcept {
    if (failures_) failures_->tell(error, name_);
}

void job_core::begin() noexcept {
    set_running(*node, current());
    if (is_coroutine_) owner_->remember(*this);
    if (timeout_ == nanoseconds::max()) return;
    const time_point at = later(home->now(), timeout_);
    if (at < deadline) deadline = at;
    limit_->deadline_ = at;
    if (!is_coroutine_ && limit_->keeper_.is_current())
        overdue_at = at; // the timer has to wait for this function's end
    limit_->keeper_.post(limit_->arm_);
}

bool job_core::end() noexcept {
    if (is_coroutine_) owner_->forget(*this);
    if (!limit_) return false;
    time_limit& limit = *std::exchange(limit_, nullptr);
    std::uint32_t expected = 0;
    const bool first = limit.phase_.compare_exchange(expected, 2);
    // It is inside stop(): this scope must outlive that, and the user's stop callbacks in it.
    if (!first)
        for (unsigned round = 0; limit.phase_.load() != 3; ++round) system_policy::pause(round);
    // Of a function the moment of its return counts: the timer may have waited behind it.
    const bool late = !is_coroutine_ && home->now() >= limit.deadline_;
    limit.keeper_.post(limit.drop_);
    return !first || late;
}

bool job_core::can_help() const noexcept {
    execution& e = current();
    if (e.worker != owner_ || owner_->single_threaded()) return false;
    const context* const scope = task_scope(e);
    return scope && scope->node->id.load(order::relaxed) == parent_;
}

void job_core::leave_registry() noexcept { free_task_node(*node); }

std::exception_ptr job_core::timeout_failure() const noexcept {
    const double seconds = std::chrono::duration<double>(timeout_).count();
    return std::make_exception_ptr(timeout_error{"task '" + std::string{name_ ? name_ : "unnamed"} +
                                                 "' did not end within its .timeout of " +
                                                 std::to_string(seconds) + " s"});
}

} // namespace plait::detail
