// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/group.hpp>

#include "base/spin_lock.hpp"

#include <new>
#include <stdexcept>
#include <utility>

namespace plait::detail {

void late_group_core::make(worker& home, context* body) noexcept {
    std::uint32_t expected = none;
    // The exchange only decides who makes it; whoever uses it has seen `made`.
    if (state_.compare_exchange(expected, in_the_making, order::acquire, order::acquire)) {
        ::new (static_cast<void*>(&core_)) group_core{home};
        core_.body = body;
        state_.store(made, order::release); // with the core
        return;
    }
    // acquire: pairs with that store.
    for (unsigned round = 0; state_.load(order::acquire) != made; ++round) system_policy::pause(round);
}

void late_group_core::destroy() noexcept { core_.~group_core(); }

group_core::group_core(worker& home) noexcept : home_{&home} {}
group_core::~group_core() = default;

bool group_core::add(job_core& child) {
    if (ended_.load(order::acquire) != 0)
        throw std::logic_error{"task_group: spawn in a group that has ended; nobody would wait for the task"};
    const spin_guard guard{lock_};
    // Under the lock: a canceller sets the flag before it takes the lock, so it finds this child or we see
    // the flag.
    if (stopping()) {
        any_cancelled_.store(1, order::release); // this child: the group has not ended as if it were complete
        return false;
    }
    child.insert_before(live_);
    members_.fetch_add(1, order::relaxed); // we are in, so nobody is the last before it
    return true;
}

void group_core::remove(job_core& child, const std::exception_ptr& error) noexcept {
    {
        const spin_guard guard{lock_};
        child.unlink();
    }
    if (error) note(error); // we have not been counted out, so the group outlives this
}

void group_core::add_error(const std::exception_ptr& error) noexcept {
    const spin_guard guard{lock_};
    if (!first_error_) {
        first_error_ = error;
        return;
    }
    try {
        further_errors_.push_back(error);
    } catch (const std::bad_alloc&) { // one failure less to tell of; the group fails all the same
    }
}

std::vector<std::exception_ptr> group_core::take_errors() {
    std::vector<std::exception_ptr> all;
    if (!first_error_) return all;
    all.reserve(1 + further_errors_.size());
    all.push_back(std::exchange(first_error_, nullptr));
    for (std::exception_ptr& e : further_errors_) all.push_back(std::move(e));
    further_errors_.clear();
    return all;
}

void group_core::note(const std::exception_ptr& error) noexcept {
    if (is_cancellation(error)) return note_cancelled();
    add_error(error);
    cancel(false);
}

void group_core::member_gone() noexcept {
    // acq_rel: who waits for the group sees what every child has done.
    if (members_.fetch_sub(1, order::acq_rel) == 1) last_->run();
}

bool group_core::wait_with(work& last) noexcept {
    last_ = &last;
    // release: whoever is the last one out sees `last_`. acquire: or that has been us, as in member_gone().
    if (members_.fetch_sub(1, order::acq_rel) != 1) return false;
    return true;
}

context* group_core::next_to_stop(bool& began) noexcept {
    if (!began) {
        began = true;
        // release: who sees it sees what it was stopped for. Not overlooked by a child that is being added:
        // see add().
        stopping_.store(1, order::seq_cst);
        if (traversing_.exchange(1, order::acq_rel) != 0) {
            began = false; // somebody else is at it, and will finish
            return nullptr;
        }
        if (body) return body;
    }
    // relaxed: ours, or that of another canceller, who has left it to us.
    if (traversing_.load(order::relaxed) == 2) return nullptr;
    job_core* found = nullptr;
    {
        const spin_guard guard{lock_};
        if (!live_.alone()) {
            group_link& link = *live_.after;
            link.unlink();
            link.insert_before(stopped_);
            found = static_cast<job_core*>(&link);
            found->keep();
        }
    }
    if (job_core* done = std::exchange(visiting_, found)) done->let_go();
    if (!found) traversing_.store(2, order::relaxed);
    return found;
}

void group_core::cancel(bool owner) noexcept {
    if (owner) by_owner_.store(1, order::release);
    bool began = false;
    while (context* c = next_to_stop(began)) c->stop();
}

job_core* group_core::next_unclaimed() noexcept {
    const spin_guard guard{lock_};
    for (group_link* list : {&live_, &stopped_})
        for (group_link* l = list->after; l != list; l = l->after) {
            auto& child = static_cast<job_core&>(*l);
            if (child.claimed()) continue;
            child.keep();
            return &child;
        }
    return nullptr;
}

void job_core::leave_group(const std::exception_ptr& error) noexcept { group->remove(*this, error); }
void job_core::member_gone(group_core& g) noexcept { g.member_gone(); }

} // namespace plait::detail
