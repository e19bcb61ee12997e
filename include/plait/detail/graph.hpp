// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/invoke.hpp>
#include <plait/detail/work.hpp>
#include <plait/task.hpp>

// What a graph's nodes are made of. The nodes' promises: plait/graph.hpp.

namespace plait {
class subgraph;
}

namespace plait::detail {

class graph_core;
struct graph_cell;

enum class graph_kind : unsigned char { function, condition, coroutine, dynamic };

/// What there is once for each type of callable.
struct graph_body {
    graph_kind kind;
    /// A condition's answer. `with`: where a coroutine's task goes, or a dynamic node's subgraph.
    std::size_t (*call)(graph_cell& cell, void* with);
    void (*destroy)(graph_cell& cell) noexcept; // null: there is nothing to destroy
};

/// A node: one cache line, so that two threads that count down two nodes do not fight over it.
///
/// `left`: how many predecessors have yet to end, from `needed` down to 0. The predecessor that takes it to 0
/// puts it back for the next time, and begins the node.
struct alignas(64) graph_cell : work {
    graph_cell(function* f, std::uint32_t n, const graph_body& b) noexcept : work{f}, number{n}, body{&b} {}

    static constexpr unsigned char busy = 1;  // begun and not ended; kept only where there are conditions
    static constexpr unsigned char weak = 2;  // some condition leads here
    static constexpr unsigned char named = 4; // its core knows the name

    bool has(unsigned char mark) const noexcept { return (marks.load(order::relaxed) & mark) != 0; }

    atomic<unsigned char> marks{0};
    atomic<std::uint32_t> left{0};
    std::uint32_t needed = 0;     // predecessors that are no conditions
    std::uint32_t first_edge = 0; // in its core's targets
    std::uint32_t edges = 0;
    const std::uint32_t number; // in its core
    const graph_body* body;
    alignas(16) unsigned char storage[16]; // the callable, or the address of one that has no room here
};
static_assert(sizeof(graph_cell) == 64);

template <class F>
struct graph_box final : pooled {
    template <class G>
    graph_box(std::in_place_t, G&& g) : fn(static_cast<G&&>(g)) {}
    F fn;
};

/// Where a node keeps its callable.
template <class F>
struct graph_place {
    static constexpr bool inside = sizeof(F) <= 16 && alignof(F) <= 16;

    template <class G>
    static void make(graph_cell& cell, G&& g) {
        if constexpr (inside)
            ::new (static_cast<void*>(cell.storage)) F(static_cast<G&&>(g));
        else
            ::new (static_cast<void*>(cell.storage))
                graph_box<F>*(new graph_box<F>{std::in_place, static_cast<G&&>(g)});
    }
    static F& get(graph_cell& cell) noexcept {
        if constexpr (inside)
            return *std::launder(reinterpret_cast<F*>(cell.storage));
        else
            return (*std::launder(reinterpret_cast<graph_box<F>**>(cell.storage)))->fn;
    }
    static void destroy(graph_cell& cell) noexcept {
        if constexpr (inside)
            get(cell).~F();
        else
            delete *std::launder(reinterpret_cast<graph_box<F>**>(cell.storage));
    }
    static constexpr bool trivial = inside && std::is_trivially_destructible_v<F>;
};

template <class F>
consteval graph_kind graph_kind_of() {
    if constexpr (std::is_invocable_v<F&, subgraph&>) {
        static_assert(std::is_void_v<std::invoke_result_t<F&, subgraph&>>,
                      "plait: a node that adds nodes is a function of subgraph& that returns nothing");
        return graph_kind::dynamic;
    } else if constexpr (std::is_invocable_v<F&>) {
        using result = std::invoke_result_t<F&>;
        static_assert(std::is_void_v<result> || std::is_same_v<result, task<>>,
                      "plait: a node returns nothing or plait::task<>; hand values on by reference captures, "
                      "and write condition(...) for a node that chooses its successor");
        return std::is_void_v<result> ? graph_kind::function : graph_kind::coroutine;
    } else {
        static_assert(never<F>, "plait: a node is a function without parameters, or of plait::subgraph&");
        return graph_kind::function;
    }
}

template <class F>
std::size_t call_graph_node(graph_cell& cell, [[maybe_unused]] void* with) {
    F& fn = graph_place<F>::get(cell);
    if constexpr (std::is_invocable_v<F&, subgraph&>)
        detail::invoke(fn, *static_cast<subgraph*>(with));
    else if constexpr (is_task<std::invoke_result_t<F&>>)
        *static_cast<task<>*>(with) = detail::invoke(fn);
    else
        detail::invoke(fn);
    return 0;
}

/// What is no index of a successor, negative numbers too, is beyond them all.
template <class F>
std::size_t call_graph_condition(graph_cell& cell, void*) {
    return static_cast<std::size_t>(detail::invoke(graph_place<F>::get(cell)));
}

template <class F>
inline constexpr graph_body graph_node_body{graph_kind_of<F>(), &call_graph_node<F>,
                                            graph_place<F>::trivial ? nullptr : &graph_place<F>::destroy};
template <class F>
inline constexpr graph_body graph_condition_body{graph_kind::condition, &call_graph_condition<F>,
                                                 graph_place<F>::trivial ? nullptr
                                                                         : &graph_place<F>::destroy};

} // namespace plait::detail
