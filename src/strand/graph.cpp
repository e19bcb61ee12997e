// SPDX-License-Identifier: Apache-2.0
#include "strand/graph.hpp"

#include <plait/this_task.hpp>
#include <stdexcept>

namespace plait {

using detail::graph_core;

graph_node graph_node::name(const char* text) const {
    if (!cell_) throw std::invalid_argument{"graph_node::name: there is no node"};
    graph_core::of(*cell_).set_name(*cell_, text);
    return *this;
}

const char* graph_node::name() const noexcept {
    return cell_ ? graph_core::of(*cell_).name(*cell_) : nullptr;
}

void graph_builder::require_own(const graph_node& n) const {
    if (!n.cell_ || &graph_core::of(*n.cell_) != core_)
        throw std::invalid_argument{"graph: an edge to or from a node that is not of this graph"};
}

detail::graph_cell& graph_builder::open(const detail::graph_body& body, graph_nodes before) {
    for (const graph_node& b : before) require_own(b);
    return core_->open(body);
}

void graph_builder::close(detail::graph_cell& cell, graph_nodes before, const char* name) {
    core_->close();
    for (const graph_node& b : before) core_->precede(*b.cell_, cell);
    if (name) core_->set_name(cell, name);
}

void graph_builder::precede(graph_node first, graph_node then) {
    require_own(first);
    require_own(then);
    core_->precede(*first.cell_, *then.cell_);
}

std::size_t graph_builder::size() const noexcept { return core_->size(); }

std::string graph_builder::to_dot() const {
    std::string text = "digraph plait {\n";
    for (std::uint32_t n = 0; n < core_->size(); ++n) {
        const detail::graph_cell& cell = core_->cell(n);
        text += "    n" + std::to_string(n) + " [label=\"";
        for (const char c : core_->label(cell)) {
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
        text += '"';
        if (cell.body->kind == detail::graph_kind::condition) text += ", shape=diamond";
        if (cell.body->kind == detail::graph_kind::dynamic) text += ", peripheries=2";
        text += "];\n";
    }
    std::vector<std::uint32_t> chosen(core_->size()); // by each condition: successors so far
    for (const auto [from, to] : core_->edges()) {
        text += "    n" + std::to_string(from) + " -> n" + std::to_string(to);
        if (core_->cell(from).body->kind == detail::graph_kind::condition)
            text += " [style=dashed, label=\"" + std::to_string(chosen[from]++) + "\"]";
        text += ";\n";
    }
    return text + "}\n";
}

graph::graph() : graph_builder{new graph_core} {}
graph::~graph() { delete core_; }

namespace {

// Of a task that is not counted in at the executor: it may run elsewhere.
class admission {
  public:
    explicit admission(in_process_executor& ex) : at_{ex.admit()} {}
    admission(const admission&) = delete;
    admission& operator=(const admission&) = delete;
    ~admission() { at_.leave(); }
    detail::worker& at() const noexcept { return at_; }

  private:
    detail::worker& at_;
};

task<> run_as_guest(graph_core& core, in_process_executor& ex) {
    const admission in{ex};
    if (!in.at().driven())
        throw std::logic_error{"graph::run_async: this serial has no thread that could run the nodes; only a "
                               "task that was submitted to it can await them there"};
    detail::graph_run run{core, ex, in.at()};
    co_await run;
}

task<> run_at_home(graph_core* core, in_process_executor* ex) {
    detail::graph_run run{*core, *ex, *detail::running_scope().home};
    co_await run;
}

} // namespace

void graph::run_on(in_process_executor& ex, const submit_options& options) {
    if (ex.blocks_itself())
        throw std::logic_error{
            "graph::run: it would block the loop that has to run the nodes; write `co_await "
            "g.run_async(loop)` there"};
    future<void> all = ex.submit(options, &run_at_home, core_, &ex);
    if (detail::task_scope()) {
        const auto stop = [&all] { all.cancel(); };
        const stop_callback on_stop{this_task::stop_token(), stop};
        all.wait();
    }
    all.get();
}

task<> graph::run_async_on(in_process_executor& ex) { return run_as_guest(*core_, ex); }

} // namespace plait
