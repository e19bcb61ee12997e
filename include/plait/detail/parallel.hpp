// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/operations.hpp>
#include <plait/detail/ranges.hpp>
#include <plait/executor.hpp>
#include <tuple>
#include <variant>
#include <vector>

// What the algorithms of plait/parallel.hpp have in common: a space of items, and the loop that hands it out.

namespace plait {
struct parallel_options;
template <std::size_t Dimensions>
class index_space;
} // namespace plait

namespace plait::detail {

/// What a loop does with the items [from, to), told which participant it is. Refers to a callable.
class piece_function {
  public:
    template <class F>
        requires(!std::is_same_v<F, piece_function>)
    explicit piece_function(F& fn) noexcept
        : object_{&fn}, call_{[](void* f, std::size_t participant, std::size_t from, std::size_t to) {
              (*static_cast<F*>(f))(participant, from, to);
          }} {}
    void operator()(std::size_t participant, std::size_t from, std::size_t to) const {
        call_(object_, participant, from, to);
    }

  private:
    void* object_;
    void (*call_)(void*, std::size_t, std::size_t, std::size_t);
};

/// Runs `piece` over [0, n) on the executor's workers, each item once, and returns when all have left it.
/// Participants are numbered below `ex.concurrency()`. The contract is that of `for_each`.
[[gnu::visibility("default")]] void run_loop(in_process_executor& ex, std::size_t n,
                                             const parallel_options& options, const char* name,
                                             piece_function piece);

/// The same for few items, each of which is worth a participant of its own.
[[gnu::visibility("default")]] void run_tasks(in_process_executor& ex, std::size_t n, const char* name,
                                              piece_function piece);

[[noreturn, gnu::visibility("default")]] void throw_index_space(bool negative);

template <class S>
inline constexpr bool is_index_space = false;
template <std::size_t D>
inline constexpr bool is_index_space<index_space<D>> = true;

template <class R>
concept shared_range = std::ranges::random_access_range<R> && std::ranges::sized_range<R>;
template <class S>
concept parallel_items = is_index_space<std::remove_cvref_t<S>> || shared_range<S>;

template <class E>
inline constexpr bool runs_here = std::derived_from<E, in_process_executor>;

/// The items of a range, by number.
template <class S>
class item_source {
  public:
    explicit item_source(S& range)
        : first_{std::ranges::begin(range)}, size_{static_cast<std::size_t>(std::ranges::size(range))} {}

    std::size_t size() const noexcept { return size_; }

    /// Calls `fn` with each of [from, to), in order.
    template <class F>
    void visit(std::size_t from, std::size_t to, F&& fn) const {
        auto it = at(from);
        for (; from != to; ++from, ++it) fn(*it);
    }

    static constexpr bool random_access = true;
    decltype(auto) operator[](std::size_t i) const { return first_[static_cast<difference>(i)]; }

    template <class F>
    using result_of = std::invoke_result_t<F&, std::ranges::range_reference_t<S>>;

  private:
    using difference = std::ranges::range_difference_t<S>;
    auto at(std::size_t i) const { return first_ + static_cast<difference>(i); }

    std::ranges::iterator_t<S> first_;
    std::size_t size_;
};

template <class F, class Sequence>
struct call_with_indices;
template <class F, std::size_t... I>
struct call_with_indices<F, std::index_sequence<I...>> : std::invoke_result<F&, decltype(I)...> {};

/// The points of an index space, the last dimension running fastest.
template <std::size_t D>
class item_source<index_space<D>> {
  public:
    explicit item_source(const index_space<D>& space) : space_{space}, size_{space.size()} {}

    std::size_t size() const noexcept { return size_; }

    template <class F>
    void visit(std::size_t from, std::size_t to, F&& fn) const {
        if constexpr (D == 1) {
            for (; from != to; ++from) fn(from);
        } else if constexpr (D == 2) {
            const std::size_t columns = space_.extent(1);
            rows(from, to, columns, [&fn](std::size_t i, std::size_t j, std::size_t end) {
                for (; j != end; ++j) fn(i, j);
            });
        } else {
            const std::size_t columns = space_.extent(1);
            rows(from, to, space_.extent(2), [&fn, columns](std::size_t row, std::size_t k, std::size_t end) {
                const std::size_t i = row / columns;
                const std::size_t j = row % columns;
                for (; k != end; ++k) fn(i, j, k);
            });
        }
    }

    static constexpr bool random_access = D == 1;
    std::size_t operator[](std::size_t i) const noexcept
        requires(D == 1)
    {
        return i;
    }

    template <class F>
    using result_of = typename call_with_indices<F, std::make_index_sequence<D>>::type;

  private:
    // Calls `row(i, j, end)` for each row, or part of one, in [from, to).
    template <class F>
    static void rows(std::size_t from, std::size_t to, std::size_t width, F&& row) {
        std::size_t i = from / width;
        std::size_t j = from % width;
        while (from != to) {
            const std::size_t end = to - from < width - j ? j + (to - from) : width;
            row(i, j, end);
            from += end - j;
            j = 0;
            ++i;
        }
    }

    const index_space<D>& space_;
    std::size_t size_;
};

template <class S>
using source_of = item_source<std::conditional_t<is_index_space<std::remove_cvref_t<S>>,
                                                 std::remove_cvref_t<S>, std::remove_reference_t<S>>>;

/// One each for the participants, on lines of their own.
template <class T>
struct alignas(64) apart {
    T value{};
};

} // namespace plait::detail
