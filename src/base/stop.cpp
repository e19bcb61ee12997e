// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/stop.hpp>

#include "base/spin_lock.hpp"

namespace plait::detail {
namespace {
constexpr std::uint32_t linked = 0, running = 1, done = 2;
}

void stop_callback_node::add_to(context& scope) noexcept {
    scope_ = &scope;
    {
        const spin_guard guard{scope.callbacks_lock_};
        // Under the lock: stop() sets the slot before it takes the lock, so it either finds this node or we
        // see it.
        if (!scope.stopped()) {
            next_ = scope.callbacks_;
            if (next_) next_->previous_ = this;
            scope.callbacks_ = this;
            return;
        }
    }
    phase_.store(done, order::relaxed); // nobody else knows of it
    call_(*this);
}

void stop_callback_node::remove() noexcept {
    if (!scope_) return;
    {
        const spin_guard guard{scope_->callbacks_lock_};
        // relaxed: what is looked for here is stored under the lock.
        if (phase_.load(order::relaxed) == linked) {
            (previous_ ? previous_->next_ : scope_->callbacks_) = next_;
            if (next_) next_->previous_ = previous_;
            scope_ = nullptr;
            return;
        }
        if (phase_.load(order::relaxed) == running && runner_ == &current()) {
            *removed_ = true; // run_all must not touch this node again
            scope_ = nullptr;
            return;
        }
    }
    // Another thread is inside it: it ends by itself, and takes no lock that we hold.
    for (unsigned round = 0; phase_.load(order::acquire) != done; ++round) system_policy::pause(round);
    scope_ = nullptr;
}

void stop_callback_node::run_all(context& scope) noexcept {
    for (;;) {
        bool removed = false;
        stop_callback_node* node = nullptr;
        {
            const spin_guard guard{scope.callbacks_lock_};
            node = scope.callbacks_;
            if (!node) return;
            scope.callbacks_ = node->next_;
            if (node->next_) node->next_->previous_ = nullptr;
            node->phase_.store(running, order::relaxed);
            node->runner_ = &current();
            node->removed_ = &removed;
        }
        node->call_(*node);
        // release: pairs with the acquire in remove(); what the callback did is visible to who destroys it.
        if (!removed) node->phase_.store(done, order::release);
    }
}

} // namespace plait::detail
