// SPDX-License-Identifier: Apache-2.0
// How a graph runs: see graph_run.
#include "strand/graph.hpp"

#include <stdexcept>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::size_t most_prefetched = 8;
constexpr std::uint32_t starting = 0, suspended = 1, over = 2; // graph_child::met

} // namespace

graph_child::end_work::end_work(graph_child& c) noexcept : work{&graph_run::child_ended}, self{c} {}

graph_run::graph_run(graph_core& core, in_process_executor& ex, worker& home)
    : core_{core}, home_{home}, spread_{home.single_threaded() && ex.concurrency() > 1 ? &ex : nullptr} {
    if (core_.running.exchange(1, order::acquire) != 0)
        throw std::logic_error{"graph: it runs already; a graph runs once at a time"};
    try {
        core_.prepare();
    } catch (...) {
        core_.running.store(0, order::release);
        throw;
    }
    core_.run = this;
}

graph_run::~graph_run() {
    core_.cut = cut_.load(order::relaxed) != 0;
    // release: pairs with the exchange of the next run, perhaps on another thread.
    core_.running.store(0, order::release);
}

bool graph_run::await_suspend(std::coroutine_handle<> h) {
    if (!arm(h, "graph")) return false;
    core_.begin_starts();
    core_.strands.store(1, order::relaxed);
    post(core_.starter); // from here on we may be gone
    return true;
}

void graph_run::await_resume() {
    check();
    if (error_) std::rethrow_exception(error_);
    if (cut_.load(order::relaxed) != 0) throw cancelled{};
}

void graph_run::run_posted(work& w) noexcept {
    auto& cell = static_cast<graph_cell&>(w);
    graph_run& run = *graph_core::of(cell).run;
    const worker& here = run.spread_ ? *current().worker : run.home_;
    if (here.refusing()) run.fail(here.refusal(), cell);
    run.strand(&cell);
}

// One node that waits for nothing, after this has been posted again for the next one. So none is held up by
// another, and what the first ones release comes before the last ones: what is near each other in the graph
// runs at about the same time, while it is in the cache. All posted at once: 240 ns a node for 160
// (bench/graph).
void graph_run::run_start(work& w) noexcept {
    graph_core& in = static_cast<graph_core::start_work&>(w).core;
    graph_run& run = *in.run;
    graph_cell& cell = in.next_start();
    if (in.has_conditions()) cell.marks.fetch_or(graph_cell::busy, order::relaxed);
    if (in.more_starts() && !run.stopping()) {
        in.strands.fetch_add(1, order::relaxed); // ours is counted
        run.post(in.starter);
    }
    run_posted(cell);
}

// A node that has been released is posted before anything else runs here: it may be what that waits for.
void graph_run::post(work& w) noexcept { (spread_ ? spread_->next_worker() : home_).post(w); }

void graph_run::post_all(graph_core& in, work_queue& ready, std::uint32_t n) noexcept {
    // relaxed: the caller's own strand is counted, so that nobody can find the count at zero.
    in.strands.fetch_add(n, order::relaxed);
    while (work* w = ready.pop()) post(*w);
}

// From node to node, in constant stack. When the last strand has ended, this run may be gone.
void graph_run::strand(graph_cell* cell) noexcept {
    execution& e = current();
    context* const outer = std::exchange(e.scope, &scope());
    for (unsigned budget = ready_budget; cell; --budget) {
        if (budget == 0) { // others want to have their turn
            post(*cell);
            break;
        }
        cell = step(*cell);
    }
    e.scope = outer;
}

// Runs a node; gives the one to run next in this thread. Null: the strand has ended, or goes on elsewhere.
graph_cell* graph_run::step(graph_cell& cell) noexcept {
    if (stopping()) {
        cut_.store(1, order::relaxed);
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
graph_cell* graph_run::after(graph_cell* cell, bool ended, std::size_t answer) noexcept {
    for (;;) {
        graph_core& in = graph_core::of(*cell);
        if (ended) {
            // release: who begins it anew comes after this.
            if (in.has_conditions())
                cell->marks.fetch_and(static_cast<unsigned char>(~graph_cell::busy), order::release);
            if (graph_cell* next = release(in, *cell, answer)) return next;
        } else {
            cut_.store(1, order::relaxed);
        }
        // acq_rel: what comes after the last strand sees what all the others have done.
        if (in.strands.fetch_sub(1, order::acq_rel) != 1) return nullptr;
        cell = in.parent;
        if (!cell) {
            waiter::post(); // from here on the run may be gone
            return nullptr;
        }
        delete &in;
        ended = !stopping();
        answer = 0;
    }
}

graph_cell* graph_run::release(graph_core& in, graph_cell& cell, std::size_t answer) noexcept {
    const auto targets = in.targets(cell);
    if (cell.body->kind == graph_kind::condition) {
        if (answer >= targets.size()) return nullptr;
        graph_cell& chosen = in.cell(targets[answer]);
        return may_begin(in, chosen) ? &chosen : nullptr;
    }
    graph_cell* next = nullptr;
    work_queue ready;
    std::uint32_t n = 0;
    for (const std::uint32_t to : targets) {
        graph_cell& target = in.cell(to);
        if (!count_down(in, target)) continue;
        if (in.has_conditions() && !may_begin(in, target)) continue;
        // Where a short node's time goes is the counting down: each count is a line from afar, and the
        // processor does not look past an atomic. So what this node will count down is asked for now: 102 ns
        // a node without, 85 with (bench/graph, one worker).
        const auto later = in.targets(target);
        for (std::size_t i = 0; i < later.size() && i < most_prefetched; ++i)
            __builtin_prefetch(&in.cell(later[i]), 1);
        if (!next) {
            next = &target;
        } else {
            ready.push(target);
            ++n;
        }
    }
    if (n != 0) post_all(in, ready, n);
    return next;
}

// True: this was the last predecessor. The count then stands as at the beginning again.
bool graph_run::count_down(const graph_core& in, graph_cell& cell) noexcept {
    if (cell.needed == 1) return true;
    // acq_rel: the last predecessor sees what the others have done, and so does the node.
    if (cell.left.fetch_sub(1, order::acq_rel) != 1) return false;
    if (in.has_conditions())
        cell.left.fetch_add(cell.needed, order::relaxed); // it may be counted down for the next turn already
    else
        cell.left.store(cell.needed, order::relaxed); // nobody does before the next run
    return true;
}

// A cell is one work, and can be in one queue; and a function need not expect to run twice at once.
bool graph_run::may_begin(graph_core& in, graph_cell& cell) noexcept {
    if (!in.has_conditions() || !(cell.marks.fetch_or(graph_cell::busy, order::acq_rel) & graph_cell::busy))
        return true;
    try {
        throw std::logic_error{
            "graph: node " + in.label(cell) +
            " was to begin while it is under way: a condition leads into a part of the graph "
            "that is running"};
    } catch (...) {
        fail(std::current_exception(), cell);
    }
    return false;
}

bool graph_run::call(graph_cell& cell, void* with, std::size_t& answer) noexcept {
    try {
        answer = cell.body->call(cell, with);
        return true;
    } catch (...) {
        fail(std::current_exception(), cell);
        return false;
    }
}

bool graph_run::call_named(graph_cell& cell, std::size_t& answer) noexcept {
    graph_child* const child = make_child(cell);
    if (!child) return false;
    execution& e = current();
    e.scope = child;
    const bool ended = call(cell, nullptr, answer);
    e.scope = &scope();
    drop_child(*child);
    return ended;
}

// Null: there is nothing to run; or, not `ended`, it failed.
graph_cell* graph_run::begin_subgraph(graph_cell& cell, bool& ended) noexcept {
    std::unique_ptr<graph_core> parts;
    graph_child* child = nullptr;
    execution& e = current();
    try {
        parts = std::make_unique<graph_core>(*this, cell);
        subgraph handle{*parts};
        std::size_t answer = 0;
        if (cell.has(graph_cell::named)) {
            child = make_child(cell);
            if (child) e.scope = child;
            ended = child != nullptr;
        }
        ended = ended && call(cell, &handle, answer);
        e.scope = &scope();
        if (child) drop_child(*std::exchange(child, nullptr));
        if (!ended || parts->size() == 0) return nullptr;
        parts->prepare();
    } catch (...) {
        fail(std::current_exception(), cell);
        ended = false;
        return nullptr;
    }
    graph_core& in = *parts.release(); // the last strand in it deletes it
    in.begin_starts();
    graph_cell& first = in.next_start(); // goes on in this thread
    if (in.has_conditions()) first.marks.fetch_or(graph_cell::busy, order::relaxed);
    const bool more = in.more_starts();
    in.strands.store(more ? 2 : 1, order::relaxed);
    if (more) post(in.starter);
    return &first;
}

graph_run::how graph_run::begin_coroutine(graph_cell& cell) noexcept {
    graph_child* const child = make_child(cell);
    if (!child) return how::failed;
    execution& e = current();
    std::size_t answer = 0;
    e.scope = child;
    const bool made = call(cell, &child->body, answer);
    e.scope = &scope();
    if (!made || !child->body.valid()) {
        drop_child(*child);
        return made ? how::ended : how::failed;
    }
    resume(task_access::prepare(child->body, child->result, *child, child->end), *child);
    // acq_rel: whoever comes second sees what the first has done.
    if (child->met.exchange(suspended, order::acq_rel) == starting) return how::suspended;
    return end_coroutine(*child) ? how::ended : how::failed;
}

void graph_run::child_ended(work& w) noexcept {
    graph_child& child = static_cast<graph_child::end_work&>(w).self;
    if (child.met.exchange(over, order::acq_rel) == starting) return; // it never suspended
    if (child.home != &child.started_on) {                            // resume_on had taken it elsewhere
        child.home = &child.started_on;
        return child.started_on.post(w);
    }
    graph_run& run = child.run;
    graph_cell& cell = child.cell;
    const bool ended = run.end_coroutine(child);
    execution& e = current();
    context* const outer = std::exchange(e.scope, &run.scope());
    graph_cell* const next = run.after(&cell, ended, 0);
    e.scope = outer;
    if (next) run.strand(next);
}

bool graph_run::end_coroutine(graph_child& child) noexcept {
    const outcome<void> result = child.result.take_outcome();
    if (!result) fail(result.error(), child.cell);
    drop_child(child);
    return result.has_value();
}

} // namespace plait::detail
