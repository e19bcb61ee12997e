// SPDX-License-Identifier: Apache-2.0
// How a graph's nodes run, one after the other: see graph_strand.
#include "strand/graph_strand.hpp"

#include <array>
#include <plait/detail/fork.hpp>
#include <stdexcept>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::size_t most_prefetched = 8;
constexpr std::uint32_t starting = 0, suspended = 1, over = 2; // graph_child::met

} // namespace

graph_child::end_work::end_work(graph_child& c) noexcept : work{&graph_strand::child_ended}, self{c} {}

graph_strand::graph_strand(graph_core& in) noexcept
    : run_{*in.run},
      in_{&in},
      thread_{current()},
      forks_{run_.forks_here()},
      from_{forks_ ? forks_->position() : 0} {}

void graph_strand::run_queued(work& w) noexcept {
    auto& cell = static_cast<graph_cell&>(w);
    graph_strand self{graph_core::of(cell)};
    self.refuse_late(cell);
    self.go(cell);
}

void graph_strand::run_start(work& w) noexcept {
    graph_strand self{static_cast<graph_core::start_work&>(w).core};
    graph_cell& cell = self.begin_start();
    self.refuse_late(cell);
    self.go(cell);
}

void graph_strand::refuse_late(const graph_cell& cell) noexcept {
    if (const worker& here = run_.here(); here.refusing()) run_.fail(here.refusal(), cell);
}

// From node to node, in constant stack. When the last strand has ended, the run may be gone.
void graph_strand::go(graph_cell& first) noexcept {
    context* const outer = std::exchange(thread_.scope, &run_.scope());
    graph_cell* cell = &first;
    for (unsigned left = share; cell && left != 0; --left) cell = step(*cell);
    if (cell) {
        stop_counting_ahead();
        hand_over(*cell); // what is counted for us counts for it
    }
    thread_.scope = outer;
}

// A node that waits for nothing, after the starter has been queued again for the next ones. So none is held up by
// another, and what the first ones release comes before the last ones: what is near each other in the graph runs at
// about the same time, while it is in the cache. All queued at once: 240 ns a node for 160 (bench/graph). On a pool
// some are taken at a time, or the starter would go from thread to thread with each: 220 for 160.
graph_cell& graph_strand::begin_start() noexcept {
    std::array<graph_cell*, starts> taken;
    std::size_t n = 0;
    const std::size_t most = forks_ ? taken.size() : 1;
    do {
        graph_cell& cell = in_->next_start();
        // relaxed: nothing leads to it, so nobody else begins it.
        if (in_->has_conditions()) cell.marks.fetch_or(graph_cell::busy, order::relaxed);
        taken[n++] = &cell;
    } while (n < most && in_->more_starts());
    if (in_->more_starts() && !run_.stopping()) queue(in_->starter);
    while (n > 1) queue(*taken[--n]);
    return *taken[0];
}

// While this strand is counted, so that nobody can find the count at zero. relaxed: whoever takes what is
// queued, and counts it out, has seen by that that it was counted in.
void graph_strand::queue(work& w) noexcept {
    if (ahead_ == 0) {
        in_->strands.fetch_add(portion, order::relaxed);
        ahead_ = portion;
    }
    --ahead_;
    hand_over(w);
}

// From here on the run may be gone, if it is the last strand.
void graph_strand::hand_over(work& w) noexcept {
    if (!forks_ || !forks_->fork(w)) run_.post(w);
}

// The same. relaxed: this strand is still counted itself, and what it did it releases by its own count, or by
// what goes on in its place.
void graph_strand::stop_counting_ahead() noexcept {
    if (ahead_ != 0) in_->strands.fetch_sub(std::exchange(ahead_, 0), order::relaxed);
}

// What was queued last by this strand, if nobody has stolen it; two strands become one.
graph_cell* graph_strand::take_back() noexcept {
    if (!forks_ || forks_->position() <= from_) return nullptr;
    work* const w = forks_->pop();
    if (!w) return nullptr;
    graph_cell* cell = nullptr;
    if (w == &in_->starter)
        cell = &begin_start();
    else if (w->run_ == &run_queued && &graph_core::of(static_cast<graph_cell&>(*w)) == in_)
        cell = static_cast<graph_cell*>(w);
    if (!cell) { // a node has left it behind
        hand_over(*w);
        return nullptr;
    }
    ++ahead_;
    refuse_late(*cell);
    return cell;
}

// Runs a node; gives the one to run next in this thread. Null: the strand has ended, or goes on elsewhere.
graph_cell* graph_strand::step(graph_cell& cell) noexcept {
    if (run_.stopping()) {
        run_.cut();
        return after(&cell, false, 0);
    }
    std::size_t answer = 0;
    bool ended = true;
    switch (cell.body->kind) {
    case graph_kind::function:
    case graph_kind::condition:
        ended = cell.has(graph_cell::named) ? call_named(cell, answer) : call(cell, nullptr, answer);
        break;
    case graph_kind::dynamic:
        if (graph_cell* first = begin_subgraph(cell, ended)) return first;
        break;
    case graph_kind::coroutine:
        stop_counting_ahead();
        switch (begin_coroutine(cell)) {
        case how::suspended:
            return nullptr; // its end goes on
        case how::failed:
            ended = false;
            break;
        case how::ended:
            break;
        }
        break;
    }
    return after(&cell, ended, answer);
}

// A node is over, and if it `ended` well its successors come closer to their beginning.
graph_cell* graph_strand::after(graph_cell* cell, bool ended, std::size_t answer) noexcept {
    for (;;) {
        if (ended) {
            // release: who begins it anew comes after this.
            if (in_->has_conditions())
                cell->marks.fetch_and(static_cast<unsigned char>(~graph_cell::busy), order::release);
            if (graph_cell* next = release(*cell, answer)) return next;
        } else {
            run_.cut();
        }
        if (graph_cell* next = take_back()) return next;
        // acq_rel: what comes after the last strand sees what all the others have done.
        const std::uint32_t n = std::exchange(ahead_, 0) + 1;
        if (in_->strands.fetch_sub(n, order::acq_rel) != n) return nullptr;
        graph_core* const finished = std::exchange(in_, nullptr);
        cell = finished->parent;
        if (!cell) {
            run_.waiter::post(); // from here on the run may be gone
            return nullptr;
        }
        delete finished;
        in_ = &graph_core::of(*cell);
        ended = !run_.stopping();
        answer = 0;
    }
}

graph_cell* graph_strand::release(graph_cell& cell, std::size_t answer) noexcept {
    const auto targets = in_->targets(cell);
    if (cell.body->kind == graph_kind::condition) {
        if (answer >= targets.size()) return nullptr;
        graph_cell& chosen = in_->cell(targets[answer]);
        return may_begin(chosen) ? &chosen : nullptr;
    }
    graph_cell* next = nullptr;
    for (const std::uint32_t to : targets) {
        graph_cell& target = in_->cell(to);
        if (!count_down(target)) continue;
        if (in_->has_conditions() && !may_begin(target)) continue;
        // Where a short node's time goes is the counting down: each count is a line from afar, and the
        // processor does not look past an atomic. So what this node will count down is asked for now: 102 ns
        // a node without, 85 with (bench/graph, one worker).
        const auto later = in_->targets(target);
        for (std::size_t i = 0; i < later.size() && i < most_prefetched; ++i)
            __builtin_prefetch(&in_->cell(later[i]), 1);
        if (!next)
            next = &target;
        else
            queue(target);
    }
    return next;
}

// True: this was the last predecessor. The count then stands as at the beginning again.
bool graph_strand::count_down(graph_cell& cell) const noexcept {
    if (cell.needed == 1) return true;
    // acq_rel: the last predecessor sees what the others have done, and so does the node.
    if (cell.left.fetch_sub(1, order::acq_rel) != 1) return false;
    if (in_->has_conditions())
        cell.left.fetch_add(cell.needed, order::relaxed); // it may be counted down for the next turn already
    else
        cell.left.store(cell.needed, order::relaxed); // nobody does before the next run
    return true;
}

// A cell is one work, and can be in one queue; and a function need not expect to run twice at once. acquire:
// pairs with after(), where it has ended.
bool graph_strand::may_begin(graph_cell& cell) noexcept {
    if (!in_->has_conditions() || !(cell.marks.fetch_or(graph_cell::busy, order::acq_rel) & graph_cell::busy))
        return true;
    try {
        throw std::logic_error{
            "graph: node " + in_->label(cell) +
            " was to begin while it is under way: a condition leads into a part of the graph "
            "that is running"};
    } catch (...) {
        run_.fail(std::current_exception(), cell);
    }
    return false;
}

bool graph_strand::call(graph_cell& cell, void* with, std::size_t& answer) noexcept {
    try {
        answer = cell.body->call(cell, with);
        return true;
    } catch (...) {
        run_.fail(std::current_exception(), cell);
        return false;
    }
}

bool graph_strand::call_named(graph_cell& cell, std::size_t& answer) noexcept {
    graph_child* const child = run_.make_child(cell);
    if (!child) return false;
    thread_.scope = child;
    const bool ended = call(cell, nullptr, answer);
    thread_.scope = &run_.scope();
    run_.drop_child(*child);
    return ended;
}

// Null: there is nothing to run; or, not `ended`, it failed.
graph_cell* graph_strand::begin_subgraph(graph_cell& cell, bool& ended) noexcept {
    std::unique_ptr<graph_core> parts;
    graph_child* child = nullptr;
    try {
        parts = std::make_unique<graph_core>(run_, cell);
        subgraph handle{*parts};
        std::size_t answer = 0;
        if (cell.has(graph_cell::named)) {
            child = run_.make_child(cell);
            if (child) thread_.scope = child;
            ended = child != nullptr;
        }
        ended = ended && call(cell, &handle, answer);
        thread_.scope = &run_.scope();
        if (child) run_.drop_child(*std::exchange(child, nullptr));
        if (!ended || parts->size() == 0) return nullptr;
        parts->prepare();
    } catch (...) {
        run_.fail(std::current_exception(), cell);
        ended = false;
        return nullptr;
    }
    stop_counting_ahead();
    in_ = parts.release(); // the last strand in it deletes it
    in_->begin_starts();
    in_->strands.store(1, order::relaxed); // nobody else knows of it yet
    return &begin_start();                 // goes on in this thread
}

graph_strand::how graph_strand::begin_coroutine(graph_cell& cell) noexcept {
    graph_child* const child = run_.make_child(cell);
    if (!child) return how::failed;
    std::size_t answer = 0;
    thread_.scope = child;
    const bool made = call(cell, &child->body, answer);
    thread_.scope = &run_.scope();
    if (!made || !child->body.valid()) {
        run_.drop_child(*child);
        return made ? how::ended : how::failed;
    }
    resume(task_access::prepare(child->body, child->result, *child, child->end), *child);
    // acq_rel: whoever comes second sees what the first has done.
    if (child->met.exchange(suspended, order::acq_rel) == starting) return how::suspended;
    return end_coroutine(*child) ? how::ended : how::failed;
}

void graph_strand::child_ended(work& w) noexcept {
    graph_child& child = static_cast<graph_child::end_work&>(w).self;
    // acq_rel: as in begin_coroutine().
    if (child.met.exchange(over, order::acq_rel) == starting) return; // it never suspended
    if (child.home != &child.started_on) {                            // resume_on had taken it elsewhere
        child.home = &child.started_on;
        return child.started_on.post(w);
    }
    graph_cell& cell = child.cell;
    graph_strand self{graph_core::of(cell)};
    const bool ended = end_coroutine(child);
    context* const outer = std::exchange(self.thread_.scope, &self.run_.scope());
    graph_cell* const next = self.after(&cell, ended, 0);
    self.thread_.scope = outer;
    if (next) self.go(*next);
}

bool graph_strand::end_coroutine(graph_child& child) noexcept {
    const outcome<void> result = child.result.take_outcome();
    if (!result) child.run.fail(result.error(), child.cell);
    child.run.drop_child(child);
    return result.has_value();
}

} // namespace plait::detail
