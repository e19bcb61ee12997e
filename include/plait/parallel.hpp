// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <plait/detail/parallel.hpp>

namespace plait {

/// How a loop's items are dealt out.
enum class schedule : unsigned char {
    automatic, ///< in pieces of some 10 to 40 us; who has none left takes half of another's
    fixed,     ///< each worker has an equal part, in one piece: for items that cost the same
};

/// How a parallel algorithm goes about it; every field may be left out.
///
///     const double sum = plait::reduce(pool, samples, 0.0, std::plus<>{}, {.deterministic = true});
struct parallel_options {
    /// Items that a worker takes at a time; 0: found out by the clock. A loop of n items asks for at most
    /// n / grain workers, so with a grain a small loop wakes few; with schedule::fixed that is all it says.
    std::size_t grain = 0;
    plait::schedule schedule = schedule::automatic;
    /// Reductions only: the same bits, however many workers there are, and however the items fall to them.
    bool deterministic = false;
};

/// The points of a box with one, two or three dimensions.
///
///     plait::for_each(pool, plait::index_space{height, width}, [&](std::size_t y, std::size_t x) {
///         canvas[y * width + x] = shade(y, x);
///     });
///
/// A piece of the work is a run of points in row-major order: the last coordinate runs fastest.
/// Errors:  a negative extent, or more points than there are addresses: invalid_argument.
template <std::size_t Dimensions>
class index_space {
    static_assert(Dimensions >= 1 && Dimensions <= 3,
                  "plait: an index_space has one, two or three dimensions");

  public:
    template <std::integral... N>
        requires(sizeof...(N) == Dimensions)
    constexpr explicit index_space(N... extents) : extents_{static_cast<std::size_t>(extents)...} {
        if (((extents < N{}) || ...)) detail::throw_index_space(true);
        bool empty = false;
        for (const std::size_t e : extents_) empty = empty || e == 0;
        for (const std::size_t e : extents_)
            if (!empty && __builtin_mul_overflow(size_, e, &size_)) detail::throw_index_space(false);
        if (empty) size_ = 0;
    }

    constexpr std::size_t extent(std::size_t dimension) const noexcept { return extents_[dimension]; }
    constexpr const std::array<std::size_t, Dimensions>& extents() const noexcept { return extents_; }
    /// How many points.
    constexpr std::size_t size() const noexcept { return size_; }

  private:
    std::array<std::size_t, Dimensions> extents_;
    std::size_t size_ = 1;
};
template <std::integral... N>
index_space(N...) -> index_space<sizeof...(N)>;

/// Calls `fn` for every item of a range, or for every point of an index space; returns when all are done.
///
///     plait::for_each(pool, pixels, [](float& p) { p = std::sqrt(p); });
///     plait::for_each(pool, plait::index_space{rows}, [&](std::size_t i) { sums[i] = sum_of(i); });
///
/// The range has random access and a size; `fn` gets references to its items. The work runs on the
/// executor's workers, of which at most `concurrency()` take part. A caller that is a thread of that pool is
/// one of them, so that loops may be nested on any number of threads: whoever has not come by the time that
/// nothing is left is not waited for. Any other caller sleeps until the end; a loop's task should `offload`
/// this. Where the executor is itself a loop, the items run a millisecond at a time, between its other tasks.
///
/// On process pools, and an `any_executor`, `fn` and the items must be sendable, and `fn` gets copies: what
/// takes an item by reference, to change it in place, does not compile there (of a generic `auto&&` nobody can
/// tell: it changes the copy).
///
/// Threads:       `fn` is called on several threads at once, each item once, in no order.
/// Cancellation:  if the calling task is stopped, no further items are handed out, the scopes in which `fn`
///                runs are stopped, and `cancelled` is thrown when all have left (test
///                Parallel.ACancelledCallerThrowsWhenAllHaveLeft).
/// Errors:        the first exception of `fn` stops the rest likewise, and is thrown when all have left;
///                those of items under way go to the executor's unhandled handler. After shutdown:
///                shutdown_error, and `fn` has not been called. By a task of the very loop that would have
///                to run it: logic_error.
/// Cost:          two allocations; a wake-up for each worker that sleeps; a look at the clock per piece.
template <executor E, detail::parallel_items Items, class F>
void for_each(E& ex, Items&& items, F&& fn, parallel_options options = {});

/// The values `transform(item)` and `init` put together by `combine`, in any order and grouping.
///
///     const std::size_t words = plait::transform_reduce(pool, lines, std::size_t{0}, std::plus<>{}, count_words);
///
/// The sum has the type of `init`; `combine` takes two of them, and must be associative and commutative, as
/// for std::transform_reduce. With `.deterministic` the items are combined in order, in blocks of 4096 and a
/// fixed tree: associative is enough, and if it is not even that (floating point) the result is still the
/// same on every executor and number of workers.
///
/// Threads, cancellation, errors: as for_each. On process pools each worker combines what it transformed.
template <executor E, detail::parallel_items Items, class T, class Combine, class Transform>
T transform_reduce(E& ex, Items&& items, T init, Combine combine, Transform transform,
                   parallel_options options = {});

/// The items of a range and `init` put together by `combine`: as transform_reduce, without a transform.
///
///     const double sum = plait::reduce(pool, samples);
///
/// Sums and products of arithmetic types run in several independent chains.
template <executor E, detail::shared_range R, class T, class Combine>
    requires std::invocable<Combine&, T, std::ranges::range_reference_t<R>>
T reduce(E& ex, R&& range, T init, Combine combine, parallel_options options = {});
template <executor E, detail::shared_range R, class T>
    requires(!std::same_as<T, parallel_options>)
T reduce(E& ex, R&& range, T init, parallel_options options = {});
template <executor E, detail::shared_range R>
std::ranges::range_value_t<R> reduce(E& ex, R&& range, parallel_options options = {});

/// Writes to `out` the sums of ever more items: out[i] = in[0] combined with ... in[i], in this order.
///
///     plait::inclusive_scan(pool, sizes, ends);         // where each one ends
///
/// `out` is a range of the same size, or `in` itself. `combine` must be associative. Each item is combined
/// twice, so there is nothing to gain below three workers unless combining is cheap beside memory. The
/// grouping follows from the size alone: the result has the same bits whatever the number of workers.
///
/// Threads, cancellation, errors: as for_each; after a failure `out` holds anything. On executors of this
/// process only.
template <executor E, detail::shared_range In, detail::shared_range Out, class Combine = std::plus<>>
void inclusive_scan(E& ex, In&& in, Out&& out, Combine combine = {}, parallel_options options = {});

/// Sorts a range by `less`, not stably.
///
///     plait::sort(pool, samples);
///     plait::sort(pool, people, std::less<>{}, &person::age);
///
/// Arithmetic types in contiguous memory, with std::less or std::greater, are sorted by radix (floats by
/// their total order: -0.0 before 0.0); everything else by comparison, as quicksorts of parts and merges.
/// Both take memory for a second copy of the items; if there is none they sort in place, more slowly.
///
/// Errors:  if `less` throws, or the calling task is stopped, every item is still in the range, in some order,
///          provided that items can be moved without exceptions.
/// Threads, cancellation: as for_each. On executors of this process only.
template <executor E, detail::shared_range R, class Less = std::less<>, class Projection = std::identity>
void sort(E& ex, R&& range, Less less = {}, Projection projection = {});

/// Calls several functions at the same time, and returns when all are done: their results, with
/// std::monostate for void; nothing if all are void.
///
///     auto [index, names] = plait::invoke(pool, [&] { return build_index(left); },
///                                              [&] { return find_names(text); });
///
/// Threads, cancellation, errors: as for_each. On process pools, and an `any_executor`, each function is a
/// task: the first that fails, and whoever stops the caller, cancels the others; in a process what has begun
/// goes on all the same.
template <executor E, class... F>
    requires(std::invocable<F&> && ...)
auto invoke(E& ex, F&&... functions);

} // namespace plait

#include <plait/detail/parallel_loops.hpp> // the bodies
#include <plait/detail/parallel_sort.hpp>
