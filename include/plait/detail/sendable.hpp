// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cereal/archives/binary.hpp>
#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/forward_list.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/queue.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/stack.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <filesystem>
#include <functional>
#include <plait/detail/fragile.hpp>
#include <plait/detail/members.hpp>
#include <span>
#include <string_view>

namespace plait {

/// Vouches for a trivially copyable class that the compiler cannot look into: its bytes mean the same in
/// another process.
///
///     template <> inline constexpr bool plait::trivially_sendable<money> = true;
template <class T>
inline constexpr bool trivially_sendable = false;

namespace detail {

/// Why a type cannot go to another process. The `inner_` ones: something inside it cannot.
enum class send_problem : unsigned char {
    none,
    pointer,
    view,
    reference,
    closure,
    opaque,
    no_default,
    unserialisable,
    inner_pointer,
    inner_view,
    inner_reference,
    inner_closure,
    inner_opaque,
    inner_no_default,
    inner_unserialisable,
};

consteval send_problem inside(send_problem p) {
    return p >= send_problem::pointer && p <= send_problem::unserialisable
               ? static_cast<send_problem>(static_cast<unsigned>(p) +
                                           (static_cast<unsigned>(send_problem::inner_pointer) -
                                            static_cast<unsigned>(send_problem::pointer)))
               : p;
}

template <class T>
consteval send_problem send_problem_of();

template <class... T>
consteval send_problem first_problem() {
    send_problem found = send_problem::none;
    ((found == send_problem::none ? void(found = inside(send_problem_of<T>())) : void()), ...);
    return found;
}

/// Class templates that are as sendable as their arguments; `known` is false for all others.
template <class T>
struct known_template {
    static constexpr bool known = false;
};
struct sendable_as_is {
    static constexpr bool known = true;
    static consteval send_problem problem() { return send_problem::none; }
};
template <class... T>
struct sendable_as {
    static constexpr bool known = true;
    static consteval send_problem problem() { return first_problem<T...>(); }
};
// clang-format off
template <class C, class A> struct known_template<std::basic_string<C, std::char_traits<C>, A>> : sendable_as<C> {};
template <class T, class A> struct known_template<std::vector<T, A>> : sendable_as<T> {};
template <class T, class A> struct known_template<std::deque<T, A>> : sendable_as<T> {};
template <class T, class A> struct known_template<std::list<T, A>> : sendable_as<T> {};
template <class T, class A> struct known_template<std::forward_list<T, A>> : sendable_as<T> {};
template <class T, std::size_t N> struct known_template<std::array<T, N>> : sendable_as<T> {};
template <std::size_t N> struct known_template<std::bitset<N>> : sendable_as_is {};
template <class T> struct known_template<std::complex<T>> : sendable_as<T> {};
template <class K, class C, class A> struct known_template<std::set<K, C, A>> : sendable_as<K> {};
template <class K, class C, class A> struct known_template<std::multiset<K, C, A>> : sendable_as<K> {};
template <class K, class V, class C, class A> struct known_template<std::map<K, V, C, A>> : sendable_as<K, V> {};
template <class K, class V, class C, class A> struct known_template<std::multimap<K, V, C, A>> : sendable_as<K, V> {};
template <class K, class H, class E, class A> struct known_template<std::unordered_set<K, H, E, A>> : sendable_as<K> {};
template <class K, class H, class E, class A> struct known_template<std::unordered_multiset<K, H, E, A>> : sendable_as<K> {};
template <class K, class V, class H, class E, class A> struct known_template<std::unordered_map<K, V, H, E, A>> : sendable_as<K, V> {};
template <class K, class V, class H, class E, class A> struct known_template<std::unordered_multimap<K, V, H, E, A>> : sendable_as<K, V> {};
template <class T, class C> struct known_template<std::queue<T, C>> : sendable_as<T> {};
template <class T, class C> struct known_template<std::stack<T, C>> : sendable_as<T> {};
template <class T, class C, class L> struct known_template<std::priority_queue<T, C, L>> : sendable_as<T> {};
template <class T> struct known_template<std::optional<T>> : sendable_as<T> {};
template <class... T> struct known_template<std::variant<T...>> : sendable_as<T...> {};
template <> struct known_template<std::monostate> : sendable_as_is {};
template <class... T> struct known_template<std::tuple<T...>> : sendable_as<T...> {};
template <class A, class B> struct known_template<std::pair<A, B>> : sendable_as<A, B> {};
template <class T> struct known_template<std::unique_ptr<T>> : sendable_as<T> {};
template <class T> struct known_template<std::shared_ptr<T>> : sendable_as<T> {};
template <class R, class P> struct known_template<std::chrono::duration<R, P>> : sendable_as<R> {};
template <class C, class D> struct known_template<std::chrono::time_point<C, D>> : sendable_as<D> {};
template <> struct known_template<std::filesystem::path> : sendable_as_is {};
// clang-format on

/// Handles: their descriptors travel beside the bytes, see handle_access. Each says so itself.
template <class T>
inline constexpr bool is_handle = false;
template <class T>
    requires is_handle<T>
struct known_template<T> : sendable_as_is {};

template <class T>
inline constexpr bool is_view = false;
template <class C, class Traits>
inline constexpr bool is_view<std::basic_string_view<C, Traits>> = true;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;
template <class T>
inline constexpr bool is_reference_wrapper = false;
template <class T>
inline constexpr bool is_reference_wrapper<std::reference_wrapper<T>> = true;

/// Has the user (or cereal) said how to serialise it? Asked with cereal's own archive: ours accepts more.
template <class T>
inline constexpr bool known_to_cereal =
    cereal::traits::is_output_serializable<T, cereal::BinaryOutputArchive>::value &&
    cereal::traits::is_input_serializable<T, cereal::BinaryInputArchive>::value;

template <class T>
consteval send_problem send_problem_of() {
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_void_v<U> || std::is_arithmetic_v<U> || std::is_enum_v<U> ||
                  std::is_null_pointer_v<U>)
        return send_problem::none;
    else if constexpr (std::is_reference_v<U> || is_reference_wrapper<U>)
        return send_problem::reference;
    else if constexpr (std::is_pointer_v<U> || std::is_member_pointer_v<U> || std::is_function_v<U>)
        return send_problem::pointer;
    else if constexpr (std::is_array_v<U>)
        return first_problem<std::remove_all_extents_t<U>>();
    else if constexpr (is_view<U>)
        return send_problem::view;
    else if constexpr (known_template<U>::known)
        return known_template<U>::problem();
    else if constexpr (trivially_sendable<U>) {
        static_assert(
            std::is_trivially_copyable_v<U>,
            "plait: trivially_sendable<T> vouches for a type that is not trivially copyable; give it a "
            "serialize() member instead");
        return send_problem::none;
    } else if constexpr (std::is_empty_v<U> && std::is_trivially_copyable_v<U>)
        return send_problem::none;
    else if constexpr (is_closure<U>())
        return send_problem::closure;
    else if constexpr (known_to_cereal<U>)
        return std::is_default_constructible_v<U> ? send_problem::none : send_problem::no_default;
    else if constexpr (walkable<U>) {
        if constexpr (!std::is_trivially_copyable_v<U> && !std::is_default_constructible_v<U>)
            return send_problem::no_default;
        else
            return decltype(with_members<U>(std::declval<U&>(), []<class... M>(M&...) {
                return std::integral_constant<send_problem, first_problem<M...>()>{};
            }))::value;
    } else if constexpr (std::is_trivially_copyable_v<U>)
        return send_problem::opaque;
    else
        return send_problem::unserialisable;
}

} // namespace detail
} // namespace plait
