// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/invoke.hpp>
#include <plait/executor.hpp>
#include <tuple>
#include <variant>
#include <vector>

// What map gives to a worker in one piece, and how large that piece is.

namespace plait::detail {

template <class T>
using map_value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// A chunk's outcomes: most chunks of cheap tasks in other processes have one, and that needs no memory of its own.
template <class T>
class one_or_more {
  public:
    void reserve(std::size_t n) {
        if (n > 1) others_.reserve(n - 1);
    }
    void push_back(T&& item) {
        if (first_)
            others_.push_back(std::move(item));
        else
            first_.emplace(std::move(item));
    }
    T& operator[](std::size_t i) noexcept { return i == 0 ? *first_ : others_[i - 1]; }
    std::size_t size() const noexcept { return first_ ? 1 + others_.size() : 0; }

  private:
    std::optional<T> first_;
    std::vector<T> others_;
};

/// A chunk's results, and how long each took on average: the next chunk's size follows from it.
template <class R>
struct chunk_result {
    one_or_more<outcome<R>> items;
    nanoseconds spent{};
};

/// Runs `fn` over a chunk, in one piece; each item's failure is its own.
template <class R, class F, class... Args>
chunk_result<R> run_chunk(F& fn, std::vector<std::tuple<Args...>>&& items) {
    const auto begun = std::chrono::steady_clock::now();
    chunk_result<R> result;
    result.items.reserve(items.size());
    for (auto& item : items)
        result.items.push_back(
            std::apply([&](auto&... args) { return outcome_of(fn, std::move(args)...); }, item));
    result.spent = std::chrono::steady_clock::now() - begun;
    return result;
}

/// The same for one item whose function is a coroutine.
template <class R, class F, class... Args>
task<chunk_result<R>> run_task(F& fn, std::tuple<Args...> item) {
    chunk_result<R> result;
    try {
        if constexpr (std::is_void_v<R>) {
            co_await std::apply([&](auto&... args) { return detail::invoke(fn, std::move(args)...); }, item);
            result.items.push_back(outcome<R>{});
        } else {
            result.items.push_back(outcome<R>{co_await std::apply(
                [&](auto&... args) { return detail::invoke(fn, std::move(args)...); }, item)});
        }
    } catch (...) {
        result.items.push_back(outcome<R>{std::current_exception()});
    }
    co_return result;
}

/// How an executor takes a chunk. Executors in this process refer to the range's own `fn`; others overload
/// this.
template <class R, class Executor, class F, class... Args>
future<chunk_result<R>> submit_chunk(Executor& ex, F& fn, std::vector<std::tuple<Args...>>&& items) {
    if constexpr (is_task<std::invoke_result_t<F&, Args...>>)
        return ex.submit(
            [&fn, item = std::move(items.front())]() mutable { return run_task<R>(fn, std::move(item)); });
    else
        return ex.submit(
            [&fn, items = std::move(items)]() mutable { return run_chunk<R>(fn, std::move(items)); });
}

// ---- how many

/// What a map knows of how its items are to be bundled.
struct map_shape {
    std::size_t chunk;   // asked for; 0: not
    std::size_t largest; // that a chunk may be
    std::size_t window;
    bool reads_ahead; // the input lies there: taking the next item is never waiting for somebody
};

/// Chunk sizes: so many items that one takes about 100 us.
class chunk_sizer {
  public:
    explicit chunk_sizer(const map_shape& shape) noexcept
        : fixed_{shape.chunk},
          largest_{shape.largest ? shape.largest : 1},
          now_{fixed_ ? (fixed_ < largest_ ? fixed_ : largest_) : 1} {}
    std::size_t size() const noexcept { return now_; }
    /// Is the window to be full at first, though the last bundle is then a small one?
    bool fills_window() const noexcept { return false; }
    /// Around the reading of a bundle.
    void begin_reading() noexcept {}
    void end_reading(std::size_t) noexcept {}
    void learn(nanoseconds spent, std::size_t items) noexcept {
        if (fixed_ != 0 || items == 0) return;
        constexpr std::int64_t aim = 100'000;
        const std::int64_t each = spent.count() / static_cast<std::int64_t>(items) + 1;
        const auto wanted = static_cast<std::size_t>(aim / each + 1);
        // At most twice as many as before: one cheap item must not hide a dear one in a large chunk.
        now_ = wanted < 2 * now_ ? wanted : 2 * now_;
        if (now_ > largest_) now_ = largest_;
    }

  private:
    std::size_t fixed_;
    std::size_t largest_;
    std::size_t now_;
};

/// Items of a map on their way, and then their outcomes: as one chunk, with one future.
///
/// A map owns a row of such flights, and what they share, their plan. An executor may have its own (see map_flight_of),
/// with the same members.
template <class R, class Executor, class F, class Item>
class chunk_flight {
  public:
    using plan = chunk_sizer;

    /// Throws what keeps them from being begun. Leaves `items` as memory for the next ones.
    chunk_flight(Executor& ex, F& fn, std::vector<Item>&& items, plan&)
        : size_{items.size()}, pending_{submit_chunk<R>(ex, fn, std::move(items))} {}
    /// They could not be begun: each of them fails in its own place.
    chunk_flight(std::size_t items, const std::exception_ptr& error) : size_{items} { fail(error); }

    std::size_t size() const noexcept { return size_; }
    bool landed() const noexcept { return landed_.has_value(); }
    /// For whoever waits for the first one that lands; requires !landed().
    state_base& state() const noexcept { return future_access::state(pending_); }

    /// Blocks for the outcome at that place. False: the deadline has passed.
    bool wait(std::size_t, time_point deadline, plan& learns) {
        if (landed_) return true;
        if (!state().wait_until(deadline)) return false;
        outcome<chunk_result<R>> o = pending_.get_outcome();
        if (o) {
            landed_ = std::move(*o);
            learns.learn(landed_->spent, size_);
        } else { // cancelled by shutdown, or lost with its worker: each item of it
            fail(o.error());
        }
        return true;
    }
    /// Requires that it was waited for. To be moved from.
    outcome<R>& at(std::size_t item) { return landed_->items[item]; }

    void cancel() noexcept {
        if (pending_.valid()) pending_.cancel();
    }
    /// Until nobody refers to the map any more.
    void wait_for_all() noexcept {
        if (pending_.valid()) pending_.wait();
    }
    /// All have been taken: what they held can go.
    void drop(plan&) noexcept {
        landed_.reset();
        size_ = 0;
    }

  private:
    void fail(const std::exception_ptr& error) {
        landed_.emplace();
        for (std::size_t i = 0; i < size_; ++i) landed_->items.push_back(outcome<R>{error});
    }

    std::size_t size_;
    future<chunk_result<R>> pending_;
    std::optional<chunk_result<R>> landed_;
};

template <map_kind Kind, class R, class Executor, class F, class Item>
struct map_flight_of {
    using type = chunk_flight<R, Executor, F, Item>;
};

} // namespace plait::detail
