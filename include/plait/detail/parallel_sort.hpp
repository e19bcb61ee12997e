// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <plait/detail/invoke.hpp>
#include <plait/detail/sorting.hpp>
#include <plait/parallel.hpp>

// sort: by radix, or as quicksorts of runs that are merged two by two.

namespace plait {
namespace detail {

/// How the bits of an arithmetic type become those of an unsigned number in the same order.
struct radix_key {
    unsigned char bytes;
    bool is_signed;
    bool is_float;
    bool descending;
};

/// Sorts n keys. False: there is no memory for a second copy of them, and nothing has happened.
[[gnu::visibility("default")]] bool radix_sort(in_process_executor& ex, void* keys, std::size_t n,
                                               radix_key key);

/// Calls piece(from, to) with runs of items that cost as much as these.
template <class Piece>
void each_run(in_process_executor& ex, std::size_t n, Piece&& run) {
    auto piece = [&run](std::size_t, std::size_t from, std::size_t to) {
        for (; from != to; ++from) run(from);
    };
    run_tasks(ex, n, "sort", piece_function{piece});
}

/// From this size on a part of a range is worth a worker of its own.
inline constexpr std::size_t worth_a_run = 4096;

/// Runs to sort before they are merged: an odd power of two, so that the last merge, of those that go back and
/// forth between the range and the buffer, ends in the range. Not fewer than workers.
inline std::size_t runs_for(std::size_t n, std::size_t workers) noexcept {
    std::size_t runs = 2;
    while (runs < workers && runs < 512) runs *= 4;
    while (runs > 2 && n / runs < worth_a_run) runs /= 4;
    return n / runs < worth_a_run ? 1 : runs;
}

/// Memory for the items, and which of them are there.
template <class T>
class sort_buffer {
  public:
    sort_buffer(std::size_t n, std::size_t runs)
        : filled_(runs), // which may throw
          items_{static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignof(T)}, std::nothrow))} {
    }
    sort_buffer(const sort_buffer&) = delete;
    sort_buffer& operator=(const sort_buffer&) = delete;
    ~sort_buffer() { ::operator delete(items_, std::align_val_t{alignof(T)}); }

    T* items() const noexcept { return items_; }
    bool& filled(std::size_t run) noexcept { return filled_[run].value; }

  private:
    std::vector<apart<bool>> filled_;
    T* items_;
};

/// A sort by comparison with a buffer. Every step either happens as a whole or leaves all items where it found
/// them, so that after a failure they can be brought back.
template <class It, class Less>
class merge_sort {
    using T = std::iter_value_t<It>;
    static constexpr std::size_t slices = 8; // of a merge, for each worker

  public:
    merge_sort(in_process_executor& ex, It first, std::size_t n, Less& less)
        : ex_{ex},
          first_{first},
          n_{n},
          less_{less},
          runs_{runs_for(n, ex.concurrency())},
          buffer_{runs_ > 1 ? n : 0, runs_} {}

    /// False: no memory for the buffer; nothing has happened.
    bool run() {
        if (!buffer_.items()) return false;
        if (runs_ == 1) {
            each_run(ex_, 1, [this](std::size_t) { sort_here(first_, first_ + difference(n_), less_); });
            return true;
        }
        in_buffer_ = true;
        try {
            sort_runs();
            for (std::size_t runs = runs_; runs > 1; runs /= 2, in_buffer_ = !in_buffer_)
                in_buffer_ ? merge_runs(buffer_.items(), first_, runs)
                           : merge_runs(first_, buffer_.items(), runs);
        } catch (...) {
            if (in_buffer_) bring_back();
            destroy_buffer();
            throw;
        }
        destroy_buffer();
        return true;
    }

  private:
    static std::ptrdiff_t difference(std::size_t n) noexcept { return static_cast<std::ptrdiff_t>(n); }
    // Where run i of so many begins.
    std::size_t begin_of(std::size_t i, std::size_t runs) const noexcept {
        return n_ / runs * i + (n_ % runs) * i / runs;
    }

    void sort_runs() {
        each_run(ex_, runs_, [this](std::size_t i) {
            T* const to = buffer_.items();
            const std::size_t begin = begin_of(i, runs_);
            const std::size_t end = begin_of(i + 1, runs_);
            for (std::size_t k = begin; k != end; ++k)
                ::new (static_cast<void*>(to + k)) T(std::move(first_[difference(k)]));
            buffer_.filled(i) = true;
            sort_here(to + begin, to + end, less_);
        });
    }
    void bring_back() noexcept {
        for (std::size_t i = 0; i < runs_; ++i)
            if (buffer_.filled(i))
                for (std::size_t k = begin_of(i, runs_); k != begin_of(i + 1, runs_); ++k)
                    first_[difference(k)] = std::move(buffer_.items()[k]);
    }
    void destroy_buffer() noexcept {
        if constexpr (!std::is_trivially_destructible_v<T>)
            for (std::size_t i = 0; i < runs_; ++i)
                if (buffer_.filled(i))
                    for (std::size_t k = begin_of(i, runs_); k != begin_of(i + 1, runs_); ++k)
                        buffer_.items()[k].~T();
    }

    // A stretch of the output, and what goes there: a part of each of two runs.
    struct slice {
        std::size_t a, a_end, b, b_end, out;
        bool done = false;
    };

    template <class From, class To>
    void merge_runs(From from, To to, std::size_t runs) {
        const std::size_t pairs = runs / 2;
        const std::size_t each = (slices * ex_.concurrency() + pairs - 1) / pairs;
        std::vector<slice> all(pairs * each);
        // First where all slices begin: a merge moves items away, after which nobody may look at them.
        each_run(ex_, all.size(), [&](std::size_t i) {
            const std::size_t a = begin_of(i / each * 2, runs);
            const std::size_t b = begin_of(i / each * 2 + 1, runs);
            const std::size_t end = begin_of(i / each * 2 + 2, runs);
            const std::size_t skip = (end - a) / each * (i % each);
            const std::size_t of_a = from_first(from, a, b, end, skip);
            all[i] = {a + of_a, b, b + (skip - of_a), end, a + skip};
        });
        for (std::size_t i = 1; i < all.size(); ++i) {
            if (i % each == 0) continue;
            slice& before = all[i - 1];
            // No more than a formality, unless `less` contradicts itself: then it keeps us in the range.
            const std::size_t at_most = before.a + (all[i].out - before.out);
            const std::size_t a = all[i].a < before.a ? before.a : all[i].a < at_most ? all[i].a : at_most;
            all[i].b += all[i].a - a;
            all[i].a = a;
            before.a_end = a;
            before.b_end = all[i].b;
        }
        try {
            each_run(ex_, all.size(), [&](std::size_t i) {
                merge(from, to, all[i]);
                all[i].done = true;
            });
        } catch (...) {
            for (slice& s : all)
                if (s.done) move_back(from, to, s, s.a_end, s.b_end);
            throw;
        }
    }

    // Of the first `skip` items of both runs merged, how many come from [a, b); the other run is [b, end).
    template <class From>
    std::size_t from_first(From from, std::size_t a, std::size_t b, std::size_t end, std::size_t skip) {
        std::size_t low = skip > end - b ? skip - (end - b) : 0;
        std::size_t high = skip < b - a ? skip : b - a;
        while (low != high) {
            const std::size_t middle = low + (high - low) / 2;
            if (less_(from[difference(b + (skip - middle - 1))], from[difference(a + middle)]))
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }

    template <class From, class To>
    void merge(From from, To to, const slice& s) {
        From a = from + difference(s.a);
        From b = from + difference(s.b);
        const From a_end = from + difference(s.a_end);
        const From b_end = from + difference(s.b_end);
        To out = to + difference(s.out);
        try {
            while (a != a_end && b != b_end) {
                const bool second = less_(*b, *a);
                if constexpr (moves_cheaply<T>) {
                    *out = second ? *b : *a; // chosen without a branch
                    b += second;
                    a += !second;
                } else {
                    *out = second ? std::move(*b++) : std::move(*a++);
                }
                ++out;
            }
        } catch (...) {
            move_back(from, to, s, static_cast<std::size_t>(a - from), static_cast<std::size_t>(b - from));
            throw;
        }
        for (; a != a_end; ++a, ++out) *out = std::move(*a);
        for (; b != b_end; ++b, ++out) *out = std::move(*b);
    }
    template <class From, class To>
    void move_back(From from, To to, const slice& s, std::size_t a_end, std::size_t b_end) noexcept {
        if constexpr (std::is_trivially_copyable_v<T>) return; // they were copied
        To out = to + difference(s.out);
        for (std::size_t i = s.a; i != a_end; ++i, ++out) from[difference(i)] = std::move(*out);
        for (std::size_t i = s.b; i != b_end; ++i, ++out) from[difference(i)] = std::move(*out);
    }

    in_process_executor& ex_;
    const It first_;
    const std::size_t n_;
    Less& less_;
    const std::size_t runs_;
    sort_buffer<T> buffer_;
    bool in_buffer_ = false; // the items are there rather than in the range
};

/// Without a buffer: each worker has one side of a partition, so many levels deep.
template <class It, class Less>
void sort_in_place(in_process_executor& ex, It first, It last, Less& less, unsigned levels) {
    const auto n = static_cast<std::size_t>(last - first);
    if (levels == 0 || n < 2 * worth_a_run) {
        each_run(ex, 1, [&](std::size_t) { sort_here(first, last, less); });
        return;
    }
    It middle = first;
    each_run(ex, 1, [&](std::size_t) {
        choose_pivot(first, last, less);
        middle =
            split_at_pivot(first, last, [&less](const auto& x, const auto& pivot) { return less(x, pivot); });
    });
    each_run(ex, 2, [&](std::size_t side) {
        side == 0 ? sort_in_place(ex, first, middle, less, levels - 1)
                  : sort_in_place(ex, middle + 1, last, less, levels - 1);
    });
}

template <class It, class Less>
void sort_by_comparison(in_process_executor& ex, It first, std::size_t n, Less& less) {
    using T = std::iter_value_t<It>;
    if constexpr (std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>)
        if (merge_sort<It, Less>{ex, first, n, less}.run()) return;
    unsigned levels = 1;
    for (std::size_t workers = ex.concurrency(); workers > 1; workers /= 2) ++levels;
    sort_in_place(ex, first, first + static_cast<std::ptrdiff_t>(n), less, levels);
}

template <class Less, class T>
inline constexpr bool is_less = false;
template <class T>
inline constexpr bool is_less<std::less<>, T> = true;
template <class T>
inline constexpr bool is_less<std::less<T>, T> = true;
template <class T>
inline constexpr bool is_less<std::ranges::less, T> = true;
template <class Less, class T>
inline constexpr bool is_greater = false;
template <class T>
inline constexpr bool is_greater<std::greater<>, T> = true;
template <class T>
inline constexpr bool is_greater<std::greater<T>, T> = true;
template <class T>
inline constexpr bool is_greater<std::ranges::greater, T> = true;

/// Fewer are not worth the tables of a radix sort.
inline constexpr std::size_t worth_a_radix = 1 << 14;

template <class R, class Less, class Projection>
constexpr bool sorts_by_radix() {
    using T = std::ranges::range_value_t<R>;
    return std::ranges::contiguous_range<R> && std::is_arithmetic_v<T> && sizeof(T) <= 8 &&
           std::is_same_v<Projection, std::identity> && (is_less<Less, T> || is_greater<Less, T>);
}

} // namespace detail

template <executor E, detail::shared_range R, class Less, class Projection>
void sort(E& ex, R&& range, Less less, Projection projection) {
    using T = std::ranges::range_value_t<R>;
    static_assert(
        detail::runs_here<E>,
        "plait: sort works on a range of this process, which the workers of this executor may not see; use "
        "an executor of this process: thread_pool, loop_pool, event_loop or serial");
    static_assert(
        std::is_same_v<std::ranges::range_reference_t<R>, T&>,
        "plait: sort needs a range whose items can be changed in place: not of const, and not one that "
        "makes its items, as views and vector<bool> do");
    if constexpr (detail::runs_here<E> && std::is_same_v<std::ranges::range_reference_t<R>, T&>) {
        const auto n = static_cast<std::size_t>(std::ranges::size(range));
        if constexpr (detail::sorts_by_radix<R, Less, Projection>()) {
            if (n >= detail::worth_a_radix && detail::radix_sort(ex, std::ranges::data(range), n,
                                                                 {.bytes = sizeof(T),
                                                                  .is_signed = std::is_signed_v<T>,
                                                                  .is_float = std::is_floating_point_v<T>,
                                                                  .descending = detail::is_greater<Less, T>}))
                return;
        }
        const auto sort = [&](auto first) {
            if constexpr (std::is_same_v<Projection, std::identity> && std::is_class_v<Less>) {
                detail::sort_by_comparison(ex, first, n, less);
            } else {
                auto by = [&](auto& a, auto& b) -> bool {
                    return detail::invoke(less, detail::invoke(projection, a), detail::invoke(projection, b));
                };
                detail::sort_by_comparison(ex, first, n, by);
            }
        };
        if constexpr (std::ranges::contiguous_range<R>)
            sort(std::ranges::data(range));
        else
            sort(std::ranges::begin(range));
    }
}

} // namespace plait
