// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/outcome.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

namespace plait::detail {

/// For a static_assert that fails when, and only when, its template is used.
template <class>
inline constexpr bool never = false;

template <class C, class Member, class Object, class... Args>
constexpr decltype(auto) invoke_member(Member C::* member, Object&& object, Args&&... args) {
    auto&& target = [&]() -> decltype(auto) {
        if constexpr (std::is_base_of_v<C, std::remove_cvref_t<Object>>)
            return static_cast<Object&&>(object);
        else if constexpr (requires { object.get().*member; })
            return (object.get()); // std::reference_wrapper
        else
            return (*static_cast<Object&&>(object));
    }();
    if constexpr (std::is_member_function_pointer_v<Member C::*>)
        return (static_cast<decltype(target)&&>(target).*member)(static_cast<Args&&>(args)...);
    else
        return (static_cast<decltype(target)&&>(target).*member);
}

/// std::invoke, without <functional>: callables, and members of an object, a reference wrapper's or a
/// pointer's.
template <class F, class... Args>
constexpr std::invoke_result_t<F, Args...> invoke(F&& f, Args&&... args) {
    if constexpr (std::is_member_pointer_v<std::remove_cvref_t<F>>)
        return invoke_member(f, static_cast<Args&&>(args)...);
    else
        return static_cast<F&&>(f)(static_cast<Args&&>(args)...);
}

/// A result as it can be kept: T for T&&, which may refer to a part of the call, gone by the time it is read.
template <class T>
using kept_t = std::conditional_t<std::is_rvalue_reference_v<T>, std::remove_reference_t<T>, T>;

/// What `invoke` gives, as it can be kept.
template <class F, class... Args>
using kept_result_t = kept_t<std::invoke_result_t<F, Args...>>;

/// The outcome of `invoke(f, args...)`: nothing escapes.
template <class F, class... Args>
auto outcome_of(F&& f, Args&&... args) noexcept {
    using result = kept_result_t<F, Args...>;
    try {
        if constexpr (std::is_void_v<result>) {
            detail::invoke(static_cast<F&&>(f), static_cast<Args&&>(args)...);
            return outcome<result>{}; // not outcome<void>, which would be made for every user of the header
        } else {
            return outcome<result>{detail::invoke(static_cast<F&&>(f), static_cast<Args&&>(args)...)};
        }
    } catch (...) {
        return outcome<result>{std::current_exception()};
    }
}

/// A callable and its arguments, decayed and owned: what a task is until it has ended.
template <class F, class... Args>
class bound_call {
  public:
    template <class G, class... A>
    explicit bound_call(std::in_place_t, G&& f, A&&... args)
        : call_{static_cast<G&&>(f), static_cast<A&&>(args)...} {}

    using result = std::invoke_result_t<F, Args...>;

    /// Once: the callable and the arguments are handed over as rvalues, and stay here.
    result operator()() {
        return [this]<std::size_t... I>(std::index_sequence<I...>) -> result {
            return detail::invoke(std::get<I>(std::move(call_))...);
        }(std::make_index_sequence<sizeof...(Args) + 1>{});
    }

  private:
    std::tuple<F, Args...> call_;
};

} // namespace plait::detail
