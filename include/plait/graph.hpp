// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <iosfwd> // std::string, declared: <string> would cost as much as half an executor
#include <plait/detail/graph.hpp>
#include <plait/executor.hpp>

namespace plait {

/// A node of a graph: a small value, good as long as the graph lives.
class [[gnu::visibility("default")]] graph_node {
  public:
    graph_node() noexcept = default;

    /// For messages, `to_dot()` and `dump_tasks()`; copied. While a node that has one runs it is listed as a
    /// task of its own, and `this_task::name()` is this; that costs some 30 ns a run.
    graph_node name(const char* text) const;
    /// Null: none.
    const char* name() const noexcept;

    friend bool operator==(const graph_node&, const graph_node&) noexcept = default;

  private:
    friend class graph_builder;
    explicit graph_node(detail::graph_cell& cell) noexcept : cell_{&cell} {}
    detail::graph_cell* cell_ = nullptr;
};

/// What `after` and `condition` take: a node, `{a, b}`, or a vector of nodes, which is looked at during the
/// call.
class graph_nodes {
  public:
    graph_nodes() noexcept = default;
    graph_nodes(const graph_node& one) noexcept : first_{&one}, count_{1} {}
    graph_nodes(std::initializer_list<graph_node> all) noexcept : first_{all.begin()}, count_{all.size()} {}
    template <class Range>
        requires requires(const Range& r) {
            { r.data() } -> std::convertible_to<const graph_node*>;
            { r.size() } -> std::convertible_to<std::size_t>;
        }
    graph_nodes(const Range& all) noexcept : first_{all.data()}, count_{all.size()} {}

    const graph_node* begin() const noexcept { return first_; }
    const graph_node* end() const noexcept { return first_ + count_; }

  private:
    const graph_node* first_ = nullptr;
    std::size_t count_ = 0;
};

struct node_options {
    const char* name = nullptr; // see graph_node::name
};

/// How nodes are added: the part that `graph` and `subgraph` share.
///
/// A node is a function without parameters that returns nothing or a `task<>`, which then is driven on the
/// executor; or a function of `subgraph&`, see there. It is kept in the graph and called once each time.
/// Values go from node to node by what the functions capture: all that a node has done is visible to those
/// after it.
///
/// Threads:  one at a time, and not while the graph runs.
/// Errors:   a node of another graph, or none, throws invalid_argument; a change during a run logic_error.
///           Then nothing has been added.
/// Cost:     a cache line for a node whose function has no more than 16 bytes; a larger one has a block of
///           its own. Eight bytes for an edge, and four more from the first run on.
class [[gnu::visibility("default")]] graph_builder {
  public:
    graph_builder(const graph_builder&) = delete;
    graph_builder& operator=(const graph_builder&) = delete;

    /// A node that waits for nothing, as long as nothing is put before it.
    template <class F>
    graph_node add(F&& fn) {
        return make<detail::graph_node_body<std::decay_t<F>>>({}, {}, std::forward<F>(fn));
    }
    template <class F>
    graph_node add(node_options options, F&& fn) {
        return make<detail::graph_node_body<std::decay_t<F>>>({}, options, std::forward<F>(fn));
    }

    /// A node that runs when all of `before` have ended.
    template <class F>
    graph_node after(graph_nodes before, F&& fn) {
        return make<detail::graph_node_body<std::decay_t<F>>>(before, {}, std::forward<F>(fn));
    }
    template <class F>
    graph_node after(graph_nodes before, node_options options, F&& fn) {
        return make<detail::graph_node_body<std::decay_t<F>>>(before, options, std::forward<F>(fn));
    }

    /// A node that chooses: `fn` returns which of its successors is to run now, 0 for the one that was put
    /// after it first; any other number, none. The others do not run, and a successor runs at once, whatever
    /// else it may stand behind: the way back of a loop, or one branch of several.
    ///
    ///     plait::graph g;
    ///     int round = 0;
    ///     auto step = g.add([&] { ++round; });
    ///     auto again = g.condition(step, [&] { return round < 10 ? 0 : 1; });
    ///     g.precede(again, step);                          // 0
    ///     g.after(again, [&] { std::printf("%d\n", round); }); // 1
    template <class F>
    graph_node condition(graph_nodes before, F&& fn) {
        return condition(before, {}, std::forward<F>(fn));
    }
    template <class F>
    graph_node condition(graph_nodes before, node_options options, F&& fn) {
        static_assert(std::is_invocable_v<std::decay_t<F>&>,
                      "plait: a condition is a function without parameters");
        static_assert(std::is_integral_v<std::invoke_result_t<std::decay_t<F>&>>,
                      "plait: a condition returns the number of the successor that is to run, from 0 on");
        return make<detail::graph_condition_body<std::decay_t<F>>>(before, options, std::forward<F>(fn));
    }

    /// `then` runs after `first`; of a condition `first`, when that chooses it.
    void precede(graph_node first, graph_node then);

    /// How many nodes there are.
    std::size_t size() const noexcept;

    /// The graph in Graphviz's language: conditions are diamonds, what they lead to is dashed, nodes that add
    /// nodes have a double line. For whoever calls it: <string>.
    std::string to_dot() const;

  protected:
    explicit graph_builder(detail::graph_core* core) noexcept : core_{core} {}
    ~graph_builder() = default;

    detail::graph_core* core_;

  private:
    template <const detail::graph_body& Body, class F>
    graph_node make(graph_nodes before, node_options options, F&& fn) {
        detail::graph_cell& cell = open(Body, before);
        detail::graph_place<std::decay_t<F>>::make(cell,
                                                   std::forward<F>(fn)); // if it throws, nothing was added
        close(cell, before, options.name);
        return graph_node{cell};
    }
    detail::graph_cell& open(const detail::graph_body& body, graph_nodes before);
    void close(detail::graph_cell& cell, graph_nodes before, const char* name);
    void require_own(const graph_node& n) const;
};

/// What a node may add to while it runs: nodes that run when its function has returned and before it counts
/// as ended, so that its successors see all that they have done. They are gone after that; next time it adds
/// them anew. A node of a subgraph may have a subgraph itself.
///
///     plait::graph g;
///     g.add([](plait::subgraph& parts) {
///         for (const std::string& file : files) parts.add([&file] { store(read_whole(file)); });
///     });
class subgraph final : public graph_builder {
  public:
    explicit subgraph(detail::graph_core& core) noexcept : graph_builder{&core} {}
};

/// Tasks with dependencies: built once, run many times.
///
///     plait::graph g;
///     auto left = g.add([] { a = read_whole("left"); });
///     auto right = g.add([] { b = read_whole("right"); });
///     g.after({left, right}, [] { store(a + b); });
///     plait::thread_pool pool;
///     g.run(pool);
///
/// A node that has run begins the ones for which it was the last to wait: one of them goes on in its thread,
/// and the others are forked on a pool, where idle threads find them, and posted elsewhere; so no node that
/// could run is held up by another. A run ends when nothing runs and nothing can.
///
/// Threads:       built by one thread, run by one at a time: a run during a run throws logic_error.
/// Cancellation:  a stop of the task that calls `run` or awaits `run_async` reaches the nodes, as their
///                `this_task::stop_token()`; none begins any more, and `cancelled` is thrown when all have
///                ended (test AStopReachesTheNodes).
/// Errors:        the first exception of a node: none begins any more, and it is rethrown when all have
///                ended; further ones go to the executor's unhandled handler. Then the graph can be run
///                again. logic_error, before anything has run, for nodes that wait for each other in a circle
///                without a condition (it names them), and if there is none to begin with; and for a node
///                that a condition chooses while it runs.
/// Cost:          a run allocates nothing for nodes that are functions; a coroutine has its frame and a small
///                block. The first run after a change looks at each node and edge once.
class [[gnu::visibility("default")]] graph final : public graph_builder {
  public:
    graph();
    graph(graph&& other) noexcept : graph_builder{std::exchange(other.core_, nullptr)} {}
    graph& operator=(graph&& other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~graph();

    /// Runs every node on `ex`, in order of dependence, and returns when all have ended. The run is a task
    /// there, with these options, and its nodes are part of it. From a task of a pool another thread takes
    /// its place meanwhile. Throws logic_error on the loop that would run them; await `run_async` there.
    template <class Executor>
    void run(Executor& ex, const submit_options& options = {.name = "graph", .created = {}}) {
        if constexpr (runs_here<Executor>()) run_on(ex, options);
    }

    /// The same for coroutines, as part of the awaiting task. The graph and `ex` must outlive it.
    template <class Executor>
    [[nodiscard]] task<> run_async(Executor& ex) {
        if constexpr (runs_here<Executor>())
            return run_async_on(ex);
        else
            return {};
    }

  private:
    template <class Executor>
    static consteval bool runs_here() {
        constexpr bool here = std::is_base_of_v<in_process_executor, Executor>;
        static_assert(here,
                      "plait: a graph's nodes refer to this process's memory: run it on serial, thread_pool, "
                      "event_loop or loop_pool; to worker processes, submit from a node");
        return here;
    }
    void run_on(in_process_executor& ex, const submit_options& options);
    task<> run_async_on(in_process_executor& ex);
};

} // namespace plait
