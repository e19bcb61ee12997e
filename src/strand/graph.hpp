// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/context_ring.hpp"

#include <array>
#include <bit>
#include <memory>
#include <plait/detail/context.hpp>
#include <plait/graph.hpp>
#include <span>
#include <string>
#include <vector>

namespace plait::detail {

class graph_run;

/// The nodes and edges of a graph, or of a subgraph while that runs.
///
/// Cells lie in chunks of 8, 16, 32, ...; before a chunk's first cell stands the address of the core, so that
/// a cell finds it without holding it. Edges are collected as they come. Before the first run after a change
/// they are sorted by their source, stably, so that a condition's successors keep their numbers.
class graph_core : public pooled {
  public:
    graph_core() noexcept = default;
    /// Of a subgraph: `node` has it.
    graph_core(graph_run& r, graph_cell& node) noexcept : run{&r}, parent{&node} {}
    graph_core(const graph_core&) = delete;
    graph_core& operator=(const graph_core&) = delete;
    ~graph_core();

    struct edge {
        std::uint32_t from, to;
    };

    /// The next cell, which counts only after close().
    graph_cell& open(const graph_body& body);
    void close() noexcept;
    void precede(graph_cell& first, graph_cell& then);
    void set_name(graph_cell& cell, const char* text);
    const char* name(const graph_cell& cell) const noexcept;
    /// What messages call it: its name, or its number.
    std::string label(const graph_cell& cell) const;

    std::size_t size() const noexcept { return count_; }
    std::span<const edge> edges() const noexcept { return edges_; }
    bool has_conditions() const noexcept { return conditions_; }

    /// Sorts the edges and looks for circles, if anything has changed; puts the counts right, if the last run
    /// left them wrong. Throws logic_error.
    void prepare();
    /// The nodes that wait for nothing begin one after the other; by the one work that is posted for them.
    void begin_starts() noexcept { next_start_ = 0; }
    bool more_starts() const noexcept { return next_start_ != starts_.size(); }
    graph_cell& next_start() noexcept {
        if (next_start_ + 2 < starts_.size()) __builtin_prefetch(starts_[next_start_ + 2], 1);
        return *starts_[next_start_++];
    }
    struct start_work : work {
        explicit start_work(graph_core& c) noexcept;
        graph_core& core;
    } starter{*this};

    std::span<const std::uint32_t> targets(const graph_cell& cell) const noexcept {
        return {targets_.get() + cell.first_edge, cell.edges};
    }

    static graph_core& of(graph_cell& cell) noexcept {
        const std::uint32_t in_chunk = place(cell.number).second;
        return *reinterpret_cast<head*>(&cell - in_chunk)[-1].core;
    }
    graph_cell& cell(std::uint32_t number) const noexcept {
        const auto [chunk, in_chunk] = place(number);
        return chunks_[chunk][in_chunk];
    }

    graph_run* run = nullptr;           // while it runs
    graph_cell* const parent = nullptr; // of a subgraph: the node that it is a part of
    bool cut = false;                   // the last run has left nodes out, so that their counts are wrong

    /// Strands: nodes that are posted, and threads that go from node to node. On a line of its own, unlike
    /// what is read all the time.
    alignas(64) atomic<std::uint32_t> strands{0};

    /// A run has begun and not ended; of a graph.
    atomic<std::uint32_t> running{0};

  private:
    struct alignas(64) head {
        graph_core* core;
    };
    static constexpr unsigned first_chunk = 8, most_chunks = 29;

    /// Which chunk, and where in it.
    static std::pair<std::uint32_t, std::uint32_t> place(std::uint32_t number) noexcept {
        const std::uint64_t n = std::uint64_t{number} + first_chunk;
        const auto width = static_cast<std::uint32_t>(std::bit_width(n));
        return {width - static_cast<std::uint32_t>(std::bit_width(first_chunk)),
                static_cast<std::uint32_t>(n - (std::uint64_t{1} << (width - 1)))};
    }
    void refuse_while_running() const;
    void reset(graph_cell& c) noexcept;
    void lay_out();
    void refuse_circles();
    [[noreturn]] void refuse_circle(std::span<const std::uint32_t> left);

    std::array<graph_cell*, most_chunks> chunks_{};
    std::uint32_t count_ = 0;
    bool conditions_ = false;
    bool changed_ = false;
    bool backward_ = false;       // some edge leads to a node that is no younger: there may be a circle
    bool owns_callables_ = false; // some callable has a destructor to be called
    std::vector<edge> edges_;
    std::unique_ptr<std::uint32_t[]> targets_; // cell numbers, by source
    std::vector<graph_cell*> starts_;
    std::size_t next_start_ = 0;                 // by whoever runs the starter
    std::vector<std::unique_ptr<char[]>> names_; // by number, as far as there are any
};

/// A node that is a task of its own while it runs: a coroutine, or one that has a name.
///
/// Owners: whoever runs it; a canceller while it is at it.
struct graph_child final : context, pooled {
    graph_child(graph_run& r, graph_cell& c, worker& at) noexcept
        : run{r}, cell{c}, started_on{at}, end{*this} {}

    // relaxed: it stands in the run's list, whose lock is held, so it has an owner.
    void keep() noexcept { owners.fetch_add(1, order::relaxed); }
    void let_go() noexcept {
        // acq_rel: the last one sees what the other has done.
        if (owners.fetch_sub(1, order::acq_rel) == 1) delete this;
    }

    struct end_work : work {
        explicit end_work(graph_child& c) noexcept;
        graph_child& self;
    };

    graph_run& run;
    graph_cell& cell;
    worker& started_on;
    end_work end;
    task<> body;
    task_result<void> result;
    atomic<std::uint32_t> owners{1};
    /// Who comes second goes on with the graph: the strand that started the coroutine, or the coroutine's
    /// end.
    atomic<std::uint32_t> met{0};
};

/// A run: the wait of the task that awaits it, and what its nodes share.
///
/// Nodes that are functions run in the scope of that task, which is suspended; children have scopes of their
/// own, in two rings guarded by `lock_`. The strands of a core keep it going; the last one that ends goes on
/// with the node that the core is a part of, or, at the top, posts the waiting task.
class graph_run final : public waiter {
  public:
    /// Nodes run on `home`, or, if there is a pool of loops, on one after the other. Prepares the core, which
    /// throws.
    graph_run(graph_core& core, in_process_executor& ex, worker& home);
    ~graph_run();

    bool await_ready() const noexcept { return core_.size() == 0; }
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume();

    context* next_child() noexcept override;
    bool withdraw() noexcept override { return false; }

    /// One node, or the starter. A node that has been released is posted before anything else runs in its
    /// thread: it may be what that waits for.
    void post(work& w) noexcept { (spread_ ? spread_->next_worker() : home_).post(w); }
    /// The executor that this thread runs nodes of it for.
    worker& here() const noexcept { return spread_ ? *current().worker : home_; }
    /// The forks of this thread, one of a pool; null elsewhere.
    fork_deque* forks_here() const noexcept {
        const execution& e = current();
        return e.worker == &home_ ? e.forks : nullptr;
    }

    /// The scope too: nodes see a stop there before the canceller has come to ask for our children.
    // acquire: as context::stopped(). make_child() asks under lock_, and that is what it relies on.
    bool stopping() const noexcept { return stopping_.load(order::acquire) != 0 || scope().stopped(); }
    /// A node was left out, or failed. relaxed: by a strand, which is counted out afterwards.
    void cut() noexcept { cut_.store(1, order::relaxed); }
    void fail(const std::exception_ptr& error, const graph_cell& cell) noexcept;

    /// Null: there is no memory for it, or it is not to begin any more.
    graph_child* make_child(graph_cell& cell) noexcept;
    void drop_child(graph_child& child) noexcept;

  private:
    void stop_children() noexcept;
    context* next_live() noexcept;

    graph_core& core_;
    worker& home_;
    in_process_executor* const spread_; // null: all on home_
    atomic<std::uint32_t> stopping_{0}; // set once, by the one who then stops the children
    atomic<std::uint32_t> cut_{0};      // a node was left out

    // Not on the line that every node reads.
    alignas(64) atomic<std::uint32_t> lock_{0};
    context_ring live_;              // guarded by lock_, as the next
    context_ring stopped_;           // those that the canceller has come to
    graph_child* visited_ = nullptr; // by whoever set stopping_
    std::exception_ptr error_;       // guarded by lock_
    bool asked_ = false;             // by the canceller of the waiting task, as the next
    bool all_told_ = false;
};

} // namespace plait::detail
