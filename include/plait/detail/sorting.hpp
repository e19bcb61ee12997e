// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

// Sorting by one thread, by comparison, in place. If `less` throws, the range holds the same items in some order,
// provided that moves do not throw.

namespace plait::detail {

/// Copied as bytes, and small: moving such an item costs less than a branch that is foreseen badly.
template <class T>
inline constexpr bool moves_cheaply = std::is_trivially_copyable_v<T> && sizeof(T) <= 4 * sizeof(void*);

/// An item that is out of its place while others move up; it goes into the hole at the end, whatever happens.
template <class It>
class hole {
  public:
    explicit hole(It at) : value{std::move(*at)}, at_{at} {}
    hole(const hole&) = delete;
    hole& operator=(const hole&) = delete;
    ~hole() { *at_ = std::move(value); }

    void move_to(It there) {
        *at_ = std::move(*there);
        at_ = there;
    }
    It at() const { return at_; }

    std::remove_reference_t<decltype(*std::declval<It>())> value;

  private:
    It at_;
};

template <class It>
void swap_items(It a, It b) {
    using std::swap;
    swap(*a, *b);
}

template <class It, class Less>
void insertion_sort(It first, It last, Less& less) {
    if (first == last) return;
    for (It i = first + 1; i != last; ++i) {
        if (!less(*i, *(i - 1))) continue;
        hole<It> h{i};
        do h.move_to(h.at() - 1);
        while (h.at() != first && less(h.value, *(h.at() - 1)));
    }
}

template <class It, class Less>
void heap_sort(It first, It last, Less& less) {
    const auto sift_down = [&](std::ptrdiff_t top, std::ptrdiff_t n) {
        for (std::ptrdiff_t child; (child = 2 * top + 1) < n; top = child) {
            if (child + 1 < n && less(first[child], first[child + 1])) ++child;
            if (!less(first[top], first[child])) return;
            swap_items(first + top, first + child);
        }
    };
    const std::ptrdiff_t n = last - first;
    for (std::ptrdiff_t i = n / 2; i-- > 0;) sift_down(i, n);
    for (std::ptrdiff_t i = n; i-- > 1;) {
        swap_items(first, first + i);
        sift_down(0, i);
    }
}

/// The median of three to *b.
template <class It, class Less>
void sort_three(It a, It b, It c, Less& less) {
    if (less(*b, *a)) swap_items(a, b);
    if (!less(*c, *b)) return;
    swap_items(b, c);
    if (less(*b, *a)) swap_items(a, b);
}

/// Brings to the front of (first, last) what `belongs`, judged against the pivot *first; gives its end. One pass
/// from left to right, in which every item moves whatever comes out: no branch depends on the data.
template <class It, class Belongs>
It split_without_branches(It first, It last, Belongs belongs) {
    using T = std::remove_reference_t<decltype(*first)>;
    struct gap {
        T value;
        It at;
        ~gap() { *at = value; }
    };
    const T pivot = *first;
    It left = first + 1; // what is before it belongs
    {
        gap g{*left, left};
        for (It right = left + 1; right != last; ++right) {
            const bool yes = belongs(*right, pivot);
            *g.at = *left;
            *left = *right;
            g.at = right;
            left += yes;
        }
        const bool yes = belongs(g.value, pivot);
        *g.at = *left;
        g.at = left;
        left += yes;
    }
    return left;
}

template <class It, class Belongs>
It split_by_swaps(It first, It last, Belongs belongs) {
    It left = first + 1;
    for (;;) {
        while (left != last && belongs(*left, *first)) ++left;
        do {
            if (left == last) return left;
            --last;
        } while (!belongs(*last, *first));
        if (left == last) return left;
        swap_items(left, last);
        ++left;
    }
}

/// Puts the pivot *first where it belongs, between what belongs before it and the rest: there.
template <class It, class Belongs>
It split_at_pivot(It first, It last, Belongs belongs) {
    It middle = last;
    if constexpr (moves_cheaply<std::remove_cvref_t<decltype(*first)>>)
        middle = split_without_branches(first, last, belongs);
    else
        middle = split_by_swaps(first, last, belongs);
    --middle;
    swap_items(first, middle);
    return middle;
}

inline constexpr std::ptrdiff_t insertion_limit = 24;

template <class It, class Less>
void choose_pivot(It first, It last, Less& less) {
    const std::ptrdiff_t n = last - first;
    It middle = first + n / 2;
    if (n > 128) {
        const std::ptrdiff_t step = n / 8;
        sort_three(first + 1, first + step, first + 2 * step, less);
        sort_three(middle - step, middle, middle + step, less);
        sort_three(last - 1 - 2 * step, last - 1 - step, last - 1, less);
        sort_three(first + step, middle, last - 1 - step, less);
    } else {
        sort_three(first + 1, middle, last - 1, less);
    }
    swap_items(first, middle);
}

/// `leftmost`: nothing stands before `first`; else what does is not greater than anything here.
template <class It, class Less>
void quick_sort(It first, It last, Less& less, unsigned unlucky, bool leftmost) {
    for (;;) {
        const std::ptrdiff_t n = last - first;
        if (n <= insertion_limit) return insertion_sort(first, last, less);
        if (unlucky == 0) return heap_sort(first, last, less);
        choose_pivot(first, last, less);
        if (!leftmost && !less(*(first - 1), *first)) {
            // The pivot equals the one before: so do many, and all that do are in their places.
            first = split_at_pivot(first, last,
                                   [&less](const auto& x, const auto& pivot) { return !less(pivot, x); }) +
                    1;
            continue;
        }
        const It middle =
            split_at_pivot(first, last, [&less](const auto& x, const auto& pivot) { return less(x, pivot); });
        const std::ptrdiff_t left = middle - first;
        const std::ptrdiff_t right = last - (middle + 1);
        if (left < n / 8 || right < n / 8) {
            --unlucky;
            // Another order, so that the next pivots are other ones.
            if (left > insertion_limit) swap_items(first, first + left / 4);
            if (right > insertion_limit) swap_items(middle + 1, middle + 1 + right / 4);
        }
        quick_sort(first, middle, less, unlucky, leftmost);
        first = middle + 1;
        leftmost = false;
    }
}

template <class It, class Less>
void sort_here(It first, It last, Less& less) {
    const std::ptrdiff_t n = last - first;
    if (n < 2) return;
    It end = first + 1; // of the run that it begins with
    if (less(*end, *first)) {
        do ++end;
        while (end != last && less(*end, *(end - 1)));
        if (end == last) {
            for (It a = first, b = last - 1; a < b; ++a, --b) swap_items(a, b);
            return;
        }
    } else {
        do ++end;
        while (end != last && !less(*end, *(end - 1)));
        if (end == last) return;
    }
    unsigned unlucky = 1;
    for (std::ptrdiff_t rest = n; rest > 1; rest /= 2) ++unlucky;
    quick_sort(first, last, less, unlucky, true);
}

} // namespace plait::detail
