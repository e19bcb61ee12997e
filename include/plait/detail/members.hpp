// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace plait::detail {

/// Counting and visiting the members of aggregates: what C++20 offers instead of reflection.

struct anything {
    template <class T>
    operator T() const; // never defined: only asked whether it would do
};

/// Converts to base classes of T only: an aggregate that it initialises has one.
template <class T>
struct any_base {
    template <class U>
        requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
    operator U() const;
};

template <class T, class... Initialisers>
concept brace_initialisable = requires { T{std::declval<Initialisers>()...}; };

template <std::size_t>
using anything_at = anything;

template <class T, std::size_t... I>
consteval bool takes_flat(std::index_sequence<I...>) {
    return brace_initialisable<T, anything_at<I>...>;
}

// T{anything x before, {anything x inside}, anything x after}
template <class T, std::size_t... Before, std::size_t... Inside, std::size_t... After>
consteval bool takes_nested(std::index_sequence<Before...>, std::index_sequence<Inside...>,
                            std::index_sequence<After...>) {
    return requires {
        T{std::declval<anything_at<Before>>()...,
          {std::declval<anything_at<Inside>>()...},
          std::declval<anything_at<After>>()...};
    };
}
template <class T, std::size_t Before, std::size_t Inside, std::size_t After>
consteval bool takes_nested() {
    return takes_nested<T>(std::make_index_sequence<Before>{}, std::make_index_sequence<Inside>{},
                           std::make_index_sequence<After>{});
}

inline constexpr std::size_t most_members = 24;
inline constexpr std::size_t most_initialisers = 64; // arrays count once per element

/// The number of initialisers when the braces of arrays are left out.
template <class T, std::size_t N = most_initialisers>
consteval std::size_t flat_count() {
    if constexpr (N == 0)
        return 0;
    else if constexpr (takes_flat<T>(std::make_index_sequence<N>{}))
        return N;
    else
        return flat_count<T, N - 1>();
}

/// How many of those the member at `At` takes: 1, or the elements of an array.
template <class T, std::size_t At, std::size_t Flat, std::size_t Length>
consteval std::size_t length_at() {
    if constexpr (Length <= 1)
        return 1;
    else if constexpr (takes_nested<T, At, Length, Flat - At - Length>() &&
                       !takes_nested<T, At, Length, Flat - At - Length + 1>())
        return Length; // with one more behind it there are too many: the braces held `Length` of them
    else
        return length_at<T, At, Flat, Length - 1>();
}

template <class T, std::size_t At, std::size_t Flat>
consteval std::size_t members_from() {
    if constexpr (At >= Flat)
        return 0;
    else
        return 1 + members_from<T, At + length_at<T, At, Flat, Flat - At>(), Flat>();
}

template <class T>
inline constexpr std::size_t member_count = members_from<T, 0, flat_count<T>()>();

/// An aggregate whose members can be bound one by one. With base classes they cannot.
template <class T>
concept walkable = std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T> &&
                   !brace_initialisable<T, any_base<T>> && (flat_count<T>() < most_initialisers) &&
                   (member_count<T> <= most_members) && (member_count<T> > 0);

/// visit(member, member, ...): all members of `value`, as lvalues.
template <walkable T, class Value, class Visit>
    requires std::is_same_v<std::remove_cv_t<Value>, T>
constexpr decltype(auto) with_members(Value& value, Visit&& visit) {
    constexpr std::size_t n = member_count<T>;
    // clang-format off
    if constexpr (n == 1) { auto& [a] = value; return visit(a); }
    else if constexpr (n == 2) { auto& [a, b] = value; return visit(a, b); }
    else if constexpr (n == 3) { auto& [a, b, c] = value; return visit(a, b, c); }
    else if constexpr (n == 4) { auto& [a, b, c, d] = value; return visit(a, b, c, d); }
    else if constexpr (n == 5) { auto& [a, b, c, d, e] = value; return visit(a, b, c, d, e); }
    else if constexpr (n == 6) { auto& [a, b, c, d, e, f] = value; return visit(a, b, c, d, e, f); }
    else if constexpr (n == 7) { auto& [a, b, c, d, e, f, g] = value; return visit(a, b, c, d, e, f, g); }
    else if constexpr (n == 8) { auto& [a, b, c, d, e, f, g, h] = value; return visit(a, b, c, d, e, f, g, h); }
    else if constexpr (n == 9) { auto& [a, b, c, d, e, f, g, h, i] = value; return visit(a, b, c, d, e, f, g, h, i); }
    else if constexpr (n == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = value; return visit(a, b, c, d, e, f, g, h, i, j); }
    else if constexpr (n == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = value; return visit(a, b, c, d, e, f, g, h, i, j, k); }
    else if constexpr (n == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l); }
    else if constexpr (n == 13) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m); }
    else if constexpr (n == 14) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o); }
    else if constexpr (n == 15) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p); }
    else if constexpr (n == 16) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q); }
    else if constexpr (n == 17) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r); }
    else if constexpr (n == 18) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s); }
    else if constexpr (n == 19) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t); }
    else if constexpr (n == 20) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u); }
    else if constexpr (n == 21) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v); }
    else if constexpr (n == 22) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w); }
    else if constexpr (n == 23) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w, x] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w, x); }
    else { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w, x, y] = value; return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w, x, y); }
    // clang-format on
}

} // namespace plait::detail
