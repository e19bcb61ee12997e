// SPDX-License-Identifier: Apache-2.0
// How a graph's run begins and ends: see graph_run.
#include "strand/graph.hpp"

#include <stdexcept>
#include <utility>

namespace plait::detail {

graph_run::graph_run(graph_core& core, in_process_executor& ex, worker& home)
    : core_{core}, home_{home}, spread_{home.single_threaded() && ex.concurrency() > 1 ? &ex : nullptr} {
    // acquire: pairs with the end of the last run, and with that of one that did not come to begin.
    if (core_.running.exchange(1, order::acquire) != 0)
        throw std::logic_error{"graph: it runs already; a graph runs once at a time"};
    try {
        core_.prepare();
    } catch (...) {
        core_.running.store(0, order::release); // with what prepare() has changed
        throw;
    }
    core_.run = this;
}

graph_run::~graph_run() {
    core_.cut = cut_.load(order::relaxed) != 0; // all strands have ended
    // release: pairs with the exchange of the next run, perhaps on another thread.
    core_.running.store(0, order::release);
}

bool graph_run::await_suspend(std::coroutine_handle<> h) {
    if (!arm(h, "graph")) return false;
    core_.begin_starts();
    core_.strands.store(1, order::relaxed); // published by the post
    post(core_.starter);                    // from here on we may be gone
    return true;
}

void graph_run::await_resume() {
    check();
    if (error_) std::rethrow_exception(error_);
    if (cut_.load(order::relaxed) != 0) throw cancelled{}; // the last strand has posted us, and has seen it
}

} // namespace plait::detail
