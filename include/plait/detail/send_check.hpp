// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/sendable.hpp>

namespace plait::detail {

/// Refuses what cannot go to another process, naming the argument and the remedy. A static_assert takes a
/// literal only (before C++26), so the texts are put together by the preprocessor; the macro ends with this
/// file.
template <std::size_t Number, send_problem Problem>
struct send_check;

#define PLAIT_SEND_CHECK(NUMBER, WHAT)                                                                       \
    template <send_problem P>                                                                                \
    struct send_check<NUMBER, P> {                                                                           \
        using enum send_problem;                                                                             \
        static_assert(P != pointer,                                                                          \
                      "plait: " WHAT " is a raw pointer: it would dangle in another process; send the "      \
                      "value or a shared_array<T>");                                                         \
        static_assert(P != inner_pointer,                                                                    \
                      "plait: " WHAT " contains a raw pointer: it would dangle in another "                  \
                      "process; send the value itself (std::string, std::vector, std::optional) "            \
                      "or a shared_array<T>");                                                               \
        static_assert(P != view,                                                                             \
                      "plait: " WHAT " is a view (string_view or span): what it looks at stays in this "     \
                      "process; send a std::string or a std::vector");                                       \
        static_assert(P != inner_view,                                                                       \
                      "plait: " WHAT " contains a view (string_view or span): what it looks at "             \
                      "stays in this process; let it own a std::string or a std::vector");                   \
        static_assert(P != reference,                                                                        \
                      "plait: " WHAT " is a reference or reference_wrapper: its target stays in this "       \
                      "process; send the value, and return the changed one");                                \
        static_assert(P != inner_reference,                                                                  \
                      "plait: " WHAT " contains a reference or reference_wrapper: its target "               \
                      "stays in this process; send the value, and return the changed one");                  \
        static_assert(                                                                                       \
            P != closure && P != inner_closure,                                                              \
            "plait: " WHAT " is or contains a lambda that captures, which may refer to this process; pass "  \
            "the values as arguments of submit, or write a function object that can be serialised");         \
        static_assert(P != opaque && P != inner_opaque,                                                      \
                      "plait: " WHAT                                                                         \
                      " is or contains a class that nobody can look into; give it a serialize() "            \
                      "member, or vouch for it by plait::trivially_sendable<T> = true");                     \
        static_assert(                                                                                       \
            P != no_default && P != inner_no_default,                                                        \
            "plait: " WHAT " is or contains a class without default constructor: the other process could "   \
            "not make one to read into; give it one (it may be private, with cereal::access a friend)");     \
        static_assert(P != unserialisable && P != inner_unserialisable,                                      \
                      "plait: " WHAT                                                                         \
                      " is or contains a class that cannot be serialised (a lock, thread, stream, "          \
                      "future?); give it a serialize() member, or make it in the task");                     \
        static constexpr bool passed = P == none;                                                            \
    }

PLAIT_SEND_CHECK(0, "the result of the task");
PLAIT_SEND_CHECK(1, "argument 1");
PLAIT_SEND_CHECK(2, "argument 2");
PLAIT_SEND_CHECK(3, "argument 3");
PLAIT_SEND_CHECK(4, "argument 4");
PLAIT_SEND_CHECK(5, "argument 5");
PLAIT_SEND_CHECK(6, "argument 6");
PLAIT_SEND_CHECK(7, "argument 7");
PLAIT_SEND_CHECK(8, "argument 8");
PLAIT_SEND_CHECK(9, "argument 9 or a later one");
PLAIT_SEND_CHECK(10, "the exception");
#undef PLAIT_SEND_CHECK

inline constexpr std::size_t last_numbered_argument = 9;
inline constexpr std::size_t check_of_result = 0;
inline constexpr std::size_t check_of_exception = 10;

/// A decayed callable that a worker can be told to call.
template <class F>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

/// A function object of plait's that takes others along: it is told from theirs, by its `sent_parts`, a tuple.
template <class... Parts>
consteval bool check_parts(std::type_identity<std::tuple<Parts...>>);

template <class F>
consteval bool check_callable() {
    constexpr bool simple = is_function_pointer<F> || std::is_member_function_pointer_v<F> ||
                            (std::is_empty_v<F> && std::is_trivially_copyable_v<F>);
    if constexpr (simple) {
        return true;
    } else if constexpr (requires { typename F::sent_parts; }) {
        return check_parts(std::type_identity<typename F::sent_parts>{});
    } else {
        static_assert(!is_closure<F>(),
                      "plait: this lambda captures; pass the values as arguments of submit, or write a "
                      "function object that can be serialised");
        if constexpr (!is_closure<F>()) {
            static_assert(
                send_problem_of<F>() == send_problem::none,
                "plait: this function object cannot be sent to another process (std::function and "
                "std::bind never can); submit a function, a lambda without captures, or a class with a "
                "serialize() member");
            return send_problem_of<F>() == send_problem::none;
        } else {
            return false;
        }
    }
}

template <class... Parts>
consteval bool check_parts(std::type_identity<std::tuple<Parts...>>) {
    return (check_callable<Parts>() && ...);
}

template <std::size_t... I, class... Args>
consteval bool check_arguments(std::index_sequence<I...>, std::type_identity<Args>...) {
    return (send_check<std::min(I + 1, last_numbered_argument), send_problem_of<Args>()>::passed && ...);
}

/// Everything that `submit(f, args...)` sends, and its result. False after the static_assert: no further
/// noise.
template <class F, class R, class... Args>
consteval bool check_call() {
    if constexpr (!check_callable<F>())
        return false;
    else if constexpr (!check_arguments(std::index_sequence_for<Args...>{}, std::type_identity<Args>{}...))
        return false;
    else
        return send_check<check_of_result, send_problem_of<R>()>::passed;
}

} // namespace plait::detail
