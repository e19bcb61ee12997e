// SPDX-License-Identifier: Apache-2.0
// How a graph's run fails and stops, and the nodes that have to be told: see graph_run.
#include "base/spin_lock.hpp"
#include "strand/graph.hpp"

#include <utility>

namespace plait::detail {

// Null: there is no memory for it, or it is not to begin any more.
graph_child* graph_run::make_child(graph_cell& cell) noexcept {
    graph_child* child = nullptr;
    try {
        child = new graph_child{*this, cell, spread_ ? *current().worker : home_};
    } catch (...) {
        fail(std::current_exception(), cell);
        return nullptr;
    }
    context& parent = scope();
    child->home = &child->started_on;
    child->deadline = parent.deadline;
    child->attempt = parent.attempt;
    child->node = &new_task_node(graph_core::of(cell).name(cell), {}, parent.node->id.load(order::relaxed));
    set_running(*child->node, current());
    bool linked = false;
    {
        const spin_guard guard{lock_};
        // Under the lock: who stops the children sets the flag before it takes the lock, so that it finds
        // this one, or we see the flag.
        linked = !stopping();
        (linked ? live_ : stopped_).add(*child);
    }
    if (linked) return child;
    drop_child(*child);
    return nullptr;
}

void graph_run::drop_child(graph_child& child) noexcept {
    {
        const spin_guard guard{lock_};
        context_ring::remove(child);
    }
    free_task_node(*child.node);
    child.let_go();
}

// By a strand that has not been counted out, so this outlives it.
void graph_run::fail(const std::exception_ptr& error, const graph_cell& cell) noexcept {
    cut_.store(1, order::relaxed); // as cut()
    const bool by_stop = is_cancellation(error);
    bool first = false;
    {
        const spin_guard guard{lock_};
        if (!error_ && !(by_stop && stopping())) {
            error_ = error;
            first = true;
        }
    }
    if (first)
        stop_children();
    else if (!by_stop)
        home_.unhandled(error, graph_core::of(const_cast<graph_cell&>(cell)).name(cell));
}

void graph_run::stop_children() noexcept {
    // Before the lock is taken, which is what make_child() relies on; the exchange decides who goes through
    // them.
    if (stopping_.exchange(1, order::seq_cst) != 0) return;
    while (context* child = next_live()) child->stop();
}

// By whoever cancels the waiting task, which holds it.
context* graph_run::next_child() noexcept {
    if (!std::exchange(asked_, true)) all_told_ = stopping_.exchange(1, order::seq_cst) != 0;
    if (all_told_) return nullptr; // or a failure is about to tell them
    context* const child = next_live();
    all_told_ = child == nullptr;
    return child;
}

context* graph_run::next_live() noexcept {
    graph_child* found = nullptr;
    {
        const spin_guard guard{lock_};
        if (!live_.empty()) {
            found = &static_cast<graph_child&>(live_.front());
            context_ring::remove(*found);
            stopped_.add(*found);
            found->keep();
        }
    }
    if (graph_child* told = std::exchange(visited_, found)) told->let_go();
    return found;
}

} // namespace plait::detail
