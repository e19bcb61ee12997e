// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strand/graph.hpp"

namespace plait::detail {

/// A thread's way through a run: from a node to one that it has released, and if there is none, to what it has
/// released before and nobody has stolen.
///
/// On a pool what a node releases is forked, but for the one that goes on here: so other threads find it, though
/// this one is busy, and a node may block until another one has run. Elsewhere it is posted.
///
/// A core counts its strands: those that are under way, and those that are queued. Few of them are written there,
/// where threads would fight over the line: a strand counts in ahead what it is going to fork, and what it takes
/// back goes on as this strand.
class graph_strand {
  public:
    /// A node's turn, after it was forked or posted.
    static void run_queued(work& w) noexcept;
    /// The turn of the next node that waits for nothing.
    static void run_start(work& w) noexcept;
    /// A coroutine has come to its end, on whatever thread.
    static void child_ended(work& w) noexcept;

  private:
    enum class how : unsigned char { ended, failed, suspended };

    explicit graph_strand(graph_core& in) noexcept;

    void go(graph_cell& first) noexcept;
    void refuse_late(const graph_cell& cell) noexcept;
    graph_cell* step(graph_cell& cell) noexcept;
    graph_cell* after(graph_cell* cell, bool ended, std::size_t answer) noexcept;
    graph_cell* release(graph_cell& cell, std::size_t answer) noexcept;
    bool count_down(graph_cell& cell) const noexcept;
    bool may_begin(graph_cell& cell) noexcept;
    void queue(work& w) noexcept;
    void hand_over(work& w) noexcept;
    graph_cell* take_back() noexcept;
    graph_cell& begin_start() noexcept;
    void stop_counting_ahead() noexcept;

    bool call(graph_cell& cell, void* with, std::size_t& answer) noexcept;
    bool call_named(graph_cell& cell, std::size_t& answer) noexcept;
    graph_cell* begin_subgraph(graph_cell& cell, bool& ended) noexcept;
    how begin_coroutine(graph_cell& cell) noexcept;
    static bool end_coroutine(graph_child& child) noexcept;

    static constexpr std::uint32_t portion = 64; // counted in ahead
    static constexpr std::size_t starts = 8;
    static constexpr unsigned share = 32; // nodes before others have their turn

    graph_run& run_;
    graph_core* in_;
    execution& thread_;
    fork_deque* const forks_; // null: not on a pool
    const std::int64_t from_; // in there: what lies below is not this strand's
    std::uint32_t ahead_ = 0; // counted in, in that core, and not queued
};

} // namespace plait::detail
