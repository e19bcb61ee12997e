// SPDX-License-Identifier: Apache-2.0
// How a graph is built and made ready to run.
#include "strand/graph_strand.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace plait::detail {

graph_core::start_work::start_work(graph_core& c) noexcept : work{&graph_strand::run_start}, core{c} {}

graph_core::~graph_core() {
    if (owns_callables_)
        for (std::uint32_t n = 0; n < count_; ++n) {
            graph_cell& c = cell(n);
            if (c.body->destroy) c.body->destroy(c);
        }
    for (graph_cell* cells : chunks_)
        if (cells) ::operator delete(reinterpret_cast<head*>(cells) - 1, std::align_val_t{alignof(head)});
}

void graph_core::refuse_while_running() const {
    if (running.load(order::relaxed) != 0)
        throw std::logic_error{
            "graph: changed while it runs; a node that adds nodes takes a plait::subgraph&"};
}

graph_cell& graph_core::open(const graph_body& body) {
    refuse_while_running();
    const auto [chunk, in_chunk] = place(count_);
    if (chunk == most_chunks) throw std::length_error{"graph: more nodes than can be numbered"};
    if (!chunks_[chunk]) {
        const std::size_t cells = std::size_t{first_chunk} << chunk;
        void* const memory =
            ::operator new(sizeof(head) + cells * sizeof(graph_cell), std::align_val_t{alignof(head)});
        chunks_[chunk] = reinterpret_cast<graph_cell*>(::new (memory) head{this} + 1);
    }
    return *::new (static_cast<void*>(&chunks_[chunk][in_chunk]))
        graph_cell{&graph_strand::run_queued, count_, body};
}

void graph_core::close() noexcept {
    const graph_body& body = *cell(count_).body;
    ++count_;
    changed_ = true;
    if (body.destroy) owns_callables_ = true;
    if (body.kind == graph_kind::condition) conditions_ = true;
}

void graph_core::precede(graph_cell& first, graph_cell& then) {
    refuse_while_running();
    if (edges_.size() == ~std::uint32_t{0}) throw std::length_error{"graph: more edges than can be numbered"};
    edges_.push_back({first.number, then.number});
    changed_ = true;
    ++first.edges;
    if (first.body->kind == graph_kind::condition) {
        then.marks.fetch_or(graph_cell::weak, order::relaxed);
    } else {
        ++then.needed;
        if (first.number >= then.number) backward_ = true;
    }
}

void graph_core::set_name(graph_cell& cell, const char* text) {
    refuse_while_running();
    const std::size_t bytes = std::strlen(text) + 1;
    auto copy = std::make_unique<char[]>(bytes);
    std::memcpy(copy.get(), text, bytes);
    if (names_.size() <= cell.number) names_.resize(std::max<std::size_t>(count_, cell.number + 1));
    names_[cell.number] = std::move(copy);
    cell.marks.fetch_or(graph_cell::named, order::relaxed);
}

const char* graph_core::name(const graph_cell& cell) const noexcept {
    return cell.has(graph_cell::named) ? names_[cell.number].get() : nullptr;
}

std::string graph_core::label(const graph_cell& cell) const {
    if (const char* text = name(cell)) return text;
    return "#" + std::to_string(cell.number);
}

void graph_core::prepare() {
    if (changed_)
        lay_out();
    else if (cut)
        for (std::uint32_t n = 0; n < count_; ++n) reset(cell(n));
    cut = false;
    if (!changed_) return;
    if (backward_) refuse_circles();
    if (starts_.empty() && count_ != 0)
        throw std::logic_error{"graph: there is no node to begin with: a condition leads to every one that "
                               "waits for nothing else; add one that stands before the loop"};
    changed_ = false;
}

void graph_core::reset(graph_cell& c) noexcept {
    c.left.store(c.needed, order::relaxed);
    if (conditions_) c.marks.fetch_and(static_cast<unsigned char>(~graph_cell::busy), order::relaxed);
}

// A counting sort, and what else has to be done with every cell, so that a large graph goes through the cache
// once.
void graph_core::lay_out() {
    const auto next =
        std::make_unique_for_overwrite<std::uint32_t[]>(count_); // where each one's next edge goes
    targets_ = std::make_unique_for_overwrite<std::uint32_t[]>(edges_.size());
    starts_.clear();
    std::uint32_t at = 0;
    for (std::uint32_t n = 0; n < count_; ++n) {
        graph_cell& c = cell(n);
        next[n] = c.first_edge = at;
        at += c.edges;
        reset(c);
        if (c.needed == 0 && !c.has(graph_cell::weak)) starts_.push_back(&c);
    }
    for (const edge e : edges_) targets_[next[e.from]++] = e.to;
}

// Takes away what waits for nothing, again and again: what is left then stands in a circle, or behind one.
void graph_core::refuse_circles() {
    std::vector<std::uint32_t> left(count_);
    std::vector<std::uint32_t> free;
    free.reserve(count_);
    for (std::uint32_t n = 0; n < count_; ++n) {
        left[n] = cell(n).needed;
        if (left[n] == 0) free.push_back(n);
    }
    for (std::size_t i = 0; i < free.size(); ++i) {
        const graph_cell& c = cell(free[i]);
        if (c.body->kind == graph_kind::condition) continue;
        for (const std::uint32_t to : targets(c))
            if (--left[to] == 0) free.push_back(to);
    }
    if (free.size() != count_) refuse_circle(left);
}

// Each of those has a predecessor among them, so a walk backwards comes to a node that it has seen.
void graph_core::refuse_circle(std::span<const std::uint32_t> left) {
    constexpr std::uint32_t none = ~std::uint32_t{0};
    std::vector<std::uint32_t> before(count_, none);
    for (const edge e : edges_)
        if (left[e.from] != 0 && left[e.to] != 0 && cell(e.from).body->kind != graph_kind::condition)
            before[e.to] = e.from;
    std::uint32_t at = 0;
    while (left[at] == 0) ++at;
    for (std::uint32_t step = 0; step < count_; ++step) at = before[at]; // now it is in the circle
    std::vector<std::uint32_t> circle{at};
    for (std::uint32_t n = before[at]; n != at; n = before[n]) circle.push_back(n);
    // From the oldest of them on, in the direction of the edges.
    std::reverse(circle.begin(), circle.end());
    std::rotate(circle.begin(), std::min_element(circle.begin(), circle.end()), circle.end());
    constexpr std::size_t most_shown = 16;
    std::string path;
    for (std::size_t i = 0; i < circle.size(); ++i) {
        if (i == most_shown) {
            path += "... (" + std::to_string(circle.size() - most_shown) + " more) -> ";
            break;
        }
        path += label(cell(circle[i])) + " -> ";
    }
    throw std::logic_error{"graph: these nodes wait for each other: " + path + label(cell(circle[0])) +
                           "; a loop needs a condition in it"};
}

} // namespace plait::detail
