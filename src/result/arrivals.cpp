// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/arrivals.hpp>

#include "base/spin_lock.hpp"

#include <plait/detail/parking_place.hpp>
#include <utility>

namespace plait::detail {

// One future that was added. Owned by the implementation's list until it has been handed out.
struct arrivals::node final : completion, pooled {
    node(implementation& o, state_base& s, std::size_t i) noexcept : of{o}, state{s}, index{i} {
        s.add_owner();
    }
    bool claim() noexcept override { return true; }
    void fire() noexcept override;

    implementation& of;
    state_base& state;
    std::size_t index;
    node* previous = nullptr; // all that are not handed out
    node* next = nullptr;
    node* next_arrived = nullptr;
};

struct arrivals::implementation : pooled {
    void link(node& n) noexcept {
        n.next = all;
        if (all) all->previous = &n;
        all = &n;
        ++pending;
    }
    void unlink(node& n) noexcept {
        (n.previous ? n.previous->next : all) = n.next;
        if (n.next) n.next->previous = n.previous;
        --pending;
    }

    bool any() noexcept {
        const spin_guard guard{lock};
        return first != nullptr;
    }
    // Under the lock.
    node* pop() noexcept {
        node* const n = first;
        if (n) first = n->next_arrived;
        return n;
    }
    std::size_t hand_out(node& n) noexcept {
        const std::size_t index = n.index;
        unlink(n);
        n.state.release_owner();
        delete &n;
        return index;
    }

    // By producers: under the lock from beginning to end, so that whoever holds it afterwards finds no
    // producer here.
    void arrive(node& n) noexcept {
        awaiter* task = nullptr;
        {
            const spin_guard guard{lock};
            n.next_arrived = nullptr;
            (first ? last->next_arrived : first) = &n;
            last = &n;
            if (thread) {
                // Under the lock: the thread takes it before it goes, so its place outlives this.
                std::exchange(thread, nullptr)->wake();
            } else if (waiting && waiting->complete()) {
                task = std::exchange(waiting, nullptr);
                task->node_ = pop();
            }
        }
        if (task) task->post(); // it ended its wait, so it is suspended until this
    }

    atomic<std::uint32_t> lock{0};
    node* first = nullptr;           // guarded by lock: arrived, in order
    node* last = nullptr;            // guarded by lock
    parking_place* thread = nullptr; // guarded by lock: a thread that sleeps in next()
    awaiter* waiting = nullptr;      // guarded by lock: a task that waits in next_async()
    node* all = nullptr;             // the consumer's
    std::size_t pending = 0;         // the consumer's
    void* spare = nullptr;           // the consumer's: a node's memory, see reserve_one
};

void arrivals::node::fire() noexcept { of.arrive(*this); }

arrivals::arrivals() : self_{new implementation} {}
arrivals::arrivals(arrivals&& other) noexcept : self_{std::exchange(other.self_, nullptr)} {}
arrivals& arrivals::operator=(arrivals&& other) noexcept {
    std::swap(self_, other.self_);
    return *this;
}

arrivals::~arrivals() {
    if (!self_) return;
    std::size_t under_way = 0; // claimed by a producer: they arrive, soon
    for (node* n = self_->all; n;) {
        node* const next = n->next;
        if (n->state.remove_hook(*n)) {
            self_->unlink(*n);
            n->state.release_owner();
            delete n;
        } else {
            ++under_way;
        }
        n = next;
    }
    for (unsigned round = 0; under_way != 0; ++round) {
        node* n = nullptr;
        {
            const spin_guard guard{self_->lock};
            n = self_->pop();
        }
        if (n) {
            self_->hand_out(*n);
            --under_way;
        } else {
            system_policy::pause(round);
        }
    }
    {
        const spin_guard guard{self_->lock}; // the last producer has let go
    }
    if (self_->spare != nullptr) node::operator delete(self_->spare, sizeof(node));
    delete self_;
}

void arrivals::reserve_one() {
    if (self_->spare == nullptr) self_->spare = node::operator new(sizeof(node));
}

void arrivals::add(state_base& state, std::size_t index) {
    if (self_->spare == nullptr) reserve_one();
    auto* const n = ::new (std::exchange(self_->spare, nullptr)) node{*self_, state, index};
    self_->link(*n);
    if (state.add_hook(*n) == state_base::added::ready) self_->arrive(*n);
}

std::size_t arrivals::pending() const noexcept { return self_->pending; }

std::size_t arrivals::poll() noexcept {
    node* n = nullptr;
    {
        const spin_guard guard{self_->lock};
        n = self_->pop();
    }
    return n ? self_->hand_out(*n) : nothing;
}

std::size_t arrivals::next(time_point deadline) {
    // It may be up to this thread to run them. Before anybody can find us here: it may throw.
    for (node* n = self_->all; n && !self_->any(); n = n->next) n->state.before_blocking(deadline);
    for (;;) {
        parking_place here;
        node* n = nullptr;
        {
            const spin_guard guard{self_->lock};
            n = self_->pop();
            if (!n) self_->thread = &here;
        }
        if (n) return self_->hand_out(*n);
        if (here.sleep_until(deadline)) continue; // wake-up: the next arrival finds us under the lock
        {
            const spin_guard guard{self_->lock};
            self_->thread = nullptr;
            n = self_->pop();
        }
        return n ? self_->hand_out(*n) : nothing;
    }
}

arrivals::awaiter arrivals::next_async() noexcept { return awaiter{*self_}; }

bool arrivals::awaiter::await_ready() {
    if (running_scope().stopped() || !spend_budget()) return false;
    const spin_guard guard{of_->lock};
    node_ = of_->pop();
    return node_ != nullptr;
}

bool arrivals::awaiter::await_suspend(std::coroutine_handle<> h) noexcept {
    if (!arm(h, "as_completed")) return false;
    {
        const spin_guard guard{of_->lock};
        if (!of_->first) {
            if (!pend()) return settle();
            of_->waiting = this;
            return true;
        }
        if (!complete_at_once()) return settle();
        node_ = of_->pop();
    }
    if (current().budget != 0) return settle();
    post(); // there, but the task has had its share of ready awaits
    return true;
}

std::size_t arrivals::awaiter::await_resume() {
    check();
    return of_->hand_out(*node_);
}

void arrivals::awaiter::unlink() noexcept {
    const spin_guard guard{of_->lock};
    of_->waiting = nullptr;
}

} // namespace plait::detail
