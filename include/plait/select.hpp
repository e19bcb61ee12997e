// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/channel.hpp>
#include <plait/detail/select.hpp>
#include <plait/task.hpp>
#include <variant>

namespace plait {

/// What `select` returns: its index says which case it was. A `receive` gives a std::optional, as always; a
/// `send` a std::monostate.
template <class... Cases>
using selected = std::variant<typename Cases::case_value...>;

/// Waits until one of several sends and receives can be done, and does that one and no other.
///
///     plait::channel<int> numbers{8};
///     plait::channel<std::string> words{8};
///     auto got = co_await plait::select(numbers.receive(), words.receive());
///     if (got.index() == 0) use(std::get<0>(got)); // a std::optional: empty if that channel is at its end
///
/// A receive from a channel at its end can always be done, so leave it out next time.
///
/// Threads:       as the channels'. Fairness: begins with another case each time, so that none starves the
///                others. Where others wait at the same end of a channel it competes with them: it is told
///                that there is something, and may find it gone.
/// Order:         as the channels', by the slot's stamp, for the one send or receive that was done, also
///                after a wait: who is told tries again. Nothing is promised of the others.
/// Cancellation:  nothing was sent, nothing was taken (test Y4); so with `timeout(d, select(...))`.
/// Errors:        closed_error if it comes to a `send` whose channel is closed.
/// Cost:          one frame; a lock for each case, if it has to wait.
template <class... Cases>
    requires(detail::select_case<Cases> && ...)
task<selected<Cases...>> select(Cases... cases) {
    for (;;) {
        detail::selection<Cases...> once{cases...};
        if (auto result = co_await once) co_return *std::move(result);
    }
}

/// The same from a thread, which sleeps meanwhile.
///
///     plait::channel<int> numbers{8};
///     plait::channel<std::string> words{8};
///     auto got = plait::select_blocking(numbers.receive(), words.receive());
///
/// Threads, order: as select. Waiting in a task of a pool, it lets another thread take its place.
/// Cancellation:  it sees none: give it a channel that is closed then, or a time.
/// Errors:        as select; on a loop logic_error.
template <class... Cases>
    requires(detail::select_case<Cases> && ...)
selected<Cases...> select_blocking(Cases... cases) {
    return *detail::select_until(detail::time_point::max(), cases...);
}

/// For at most `d`; then it is empty, and nothing was done.
template <class Rep, class Period, class... Cases>
    requires(detail::select_case<Cases> && ...)
std::optional<selected<Cases...>> select_blocking_for(std::chrono::duration<Rep, Period> d, Cases... cases) {
    return detail::select_until(detail::deadline_in(d), cases...);
}

} // namespace plait
