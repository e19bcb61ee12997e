// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/invoke.hpp>
#include <plait/detail/parallel.hpp>

// What one worker does to its piece of a reduction, and how pieces come together: here and in other processes.

namespace plait::detail {

/// Items to a block of a deterministic reduction: part of its result's definition.
inline constexpr std::size_t fold_block = 4096;

template <class Combine>
inline constexpr bool is_regroupable = false;
template <class T>
inline constexpr bool is_regroupable<std::plus<T>> = true;
template <class T>
inline constexpr bool is_regroupable<std::multiplies<T>> = true;
template <class T>
inline constexpr bool is_regroupable<std::bit_and<T>> = true;
template <class T>
inline constexpr bool is_regroupable<std::bit_or<T>> = true;
template <class T>
inline constexpr bool is_regroupable<std::bit_xor<T>> = true;

/// The items [from, to), of which there is one at least, combined from left to right; for arithmetic types
/// and operations that are known to allow it, in four chains, since one is bound by the latency of its steps.
template <class T, class Source, class Combine, class Transform>
T fold(const Source& items, std::size_t from, std::size_t to, Combine& combine, Transform& transform) {
    const auto add = [&combine](T& sum, auto&& value) {
        sum = static_cast<T>(detail::invoke(combine, std::move(sum), static_cast<decltype(value)&&>(value)));
    };
    if constexpr (std::is_arithmetic_v<T> && is_regroupable<Combine> && Source::random_access) {
        if (to - from >= 8) {
            T a = static_cast<T>(detail::invoke(transform, items[from]));
            T b = static_cast<T>(detail::invoke(transform, items[from + 1]));
            T c = static_cast<T>(detail::invoke(transform, items[from + 2]));
            T d = static_cast<T>(detail::invoke(transform, items[from + 3]));
            std::size_t i = from + 4;
            for (; to - i >= 4; i += 4) {
                add(a, detail::invoke(transform, items[i]));
                add(b, detail::invoke(transform, items[i + 1]));
                add(c, detail::invoke(transform, items[i + 2]));
                add(d, detail::invoke(transform, items[i + 3]));
            }
            for (; i != to; ++i) add(a, detail::invoke(transform, items[i]));
            add(a, b);
            add(c, d);
            add(a, c);
            return a;
        }
    }
    std::optional<T> sum;
    items.visit(from, to, [&](auto&&... item) {
        if (sum)
            add(*sum, detail::invoke(transform, static_cast<decltype(item)&&>(item)...));
        else
            sum.emplace(static_cast<T>(detail::invoke(transform, static_cast<decltype(item)&&>(item)...)));
    });
    return *std::move(sum);
}

/// Neighbours two by two, then those: which ones follows from the number alone.
template <class T, class Combine>
T combine_in_tree(std::vector<std::optional<T>>& parts, Combine& combine) {
    for (std::size_t width = 1; width < parts.size(); width *= 2)
        for (std::size_t i = 0; i + width < parts.size(); i += 2 * width)
            parts[i] =
                static_cast<T>(detail::invoke(combine, *std::move(parts[i]), *std::move(parts[i + width])));
    return *std::move(parts.front());
}

namespace sent { // where no function of the serialiser's is found by its arguments
struct as_it_is {
    template <class T>
    constexpr T&& operator()(T&& value) const noexcept {
        return static_cast<T&&>(value);
    }
};
} // namespace sent
using sent::as_it_is;

/// What stands for a result in a tuple: never a reference.
template <class T>
using invoked = std::conditional_t<std::is_void_v<T>, std::monostate, std::decay_t<T>>;

template <class F>
void store_result(F& fn, std::optional<invoked<kept_result_t<F&>>>& result) {
    if constexpr (std::is_void_v<kept_result_t<F&>>) {
        detail::invoke(fn);
        result.emplace();
    } else {
        result.emplace(detail::invoke(fn));
    }
}

} // namespace plait::detail
