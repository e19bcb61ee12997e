// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/invoke.hpp>
#include <plait/future.hpp>
#include <type_traits>

namespace plait::detail {

/// Does `text` contain `part`? (<string_view> would cost every user of an executor as much as <optional>.)
consteval bool contains(const char* text, const char* part) {
    for (; *text; ++text) {
        const char* t = text;
        const char* p = part;
        while (*p && *t == *p) ++t, ++p;
        if (!*p) return true;
    }
    return false;
}

/// Is F a lambda's closure? C++20 has no trait for it; the compilers' spelling of its name tells.
template <class F>
consteval bool is_closure() {
    return contains(__PRETTY_FUNCTION__, "<lambda") || contains(__PRETTY_FUNCTION__, "(lambda");
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
/// GCC 12 destroys a closure temporary inside a co_await expression twice, if that is not trivial (GCC bug
/// 99576 and kin; fixed in 13).
inline constexpr bool breaks_closures_in_await = true;
#else
inline constexpr bool breaks_closures_in_await = false;
#endif

/// A closure, or what may hold one (std::function).
template <class F>
consteval bool may_be_closure() {
    return is_closure<F>() || contains(__PRETTY_FUNCTION__, "std::function<");
}

template <class F>
inline constexpr bool is_fragile =
    breaks_closures_in_await && !std::is_lvalue_reference_v<F> && may_be_closure<std::remove_cvref_t<F>>() &&
    !std::is_trivially_destructible_v<std::remove_cvref_t<F>>;

} // namespace plait::detail

namespace plait {

/// A future that has to be given a name before it is awaited, on compilers that break the alternative:
///
///     auto f = pool.submit([data] { return parse(data); });
///     auto result = co_await f;
///
/// It is and converts to future<T>, the type under which it is passed on: `plait::future<int> f = ...`.
template <class T>
class fragile_future : public future<T> {
  public:
    using must_be_named = void; // see detail/child.hpp: fragile

    explicit fragile_future(future<T>&& f) noexcept : future<T>{std::move(f)} {}

    detail::future_awaiter<T> operator co_await() & {
        return static_cast<future<T>&>(*this).operator co_await();
    }
    template <class U = T>
    detail::future_awaiter<T> operator co_await() && {
        static_assert(
            detail::never<U>,
            "plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a "
            "co_await expression. Name the future first: auto f = pool.submit([data]{...}); co_await f;");
        return std::move(static_cast<future<T>&>(*this)).operator co_await();
    }
};

namespace detail {
/// What `submit(fn, args...)` returns; `Call` are the types of fn and args, as they were given.
template <class R, class... Call>
using submit_future_t = std::conditional_t<(is_fragile<Call&&> || ...), fragile_future<R>, future<R>>;
} // namespace detail

} // namespace plait
