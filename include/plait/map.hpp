// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/chrono.hpp>

namespace plait {

/// How `map`, `map_unordered` and `map_outcomes` go about it: the last argument, after the ranges.
///
///     for (auto&& page : pool.map(download, urls, plait::map_options{.window = 32})) store(page);
///
/// All three are lazy: the input is pulled on the consumer's thread, and never more than `window` items ahead
/// of what has been consumed, so it may be a single-pass or an infinite range; an lvalue range is referred
/// to, an rvalue one owned. Several ranges go side by side, until the shortest ends.
///
/// `map` yields in input order, `map_unordered` as results finish. Item k's exception surfaces when item k is
/// dereferenced; after `++` the next one is delivered. `map_outcomes` yields every item's outcome in its
/// place, and never throws for an item. What `fn` returns is moved out; for void it is std::monostate.
///
/// Over an `async_generator`, which goes alone, each of them gives an `async_generator`, for a task, also one
/// of the executor's own loop. A failure of `map` or `map_unordered` is its end: what has not started is
/// cancelled, what runs waited for. Each item is a task of its own, with its copy of `fn`.
///
///     auto sizes = [](std::vector<std::string> all) -> plait::async_generator<std::size_t> {
///         for (auto& one : all) co_yield co_await download(one);
///     };
///     auto doubled = pool.map([](std::size_t size) { return 2 * size; }, sizes(urls));
///     while (const std::size_t* one = co_await doubled.next()) use(*one);
///
/// Destroyed before its end it cancels likewise, but waits for nobody.
///
/// Cancellation:  destroying the range cancels what has not started **and waits for what still runs**, so
///                that `fn` may refer to locals of the caller (test M6).
/// Errors:        an input that throws ends the range with that exception, after the items before it.
///                `.timeout` passed: timeout_error, the rest is cancelled, and the range is at its end. After
///                shutdown of the executor the items that could not be submitted throw shutdown_error.
///                `.window = 0` throws invalid_argument.
struct map_options {
    /// Items pulled from the input and not yet consumed. Default: 64 times the executor's concurrency.
    std::size_t window = automatic;
    /// Items that go to a worker in one piece; 0: chosen by the time that they take. Never above window /
    /// concurrency.
    std::size_t chunk = 0;
    /// From the call of `map` on, for the whole of it.
    detail::nanoseconds timeout = detail::nanoseconds::max();

    static constexpr std::size_t automatic = ~std::size_t{0};
};

} // namespace plait
