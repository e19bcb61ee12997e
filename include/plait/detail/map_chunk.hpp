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

/// Chunk sizes: so many items that one takes about 100 us.
class chunk_sizer {
  public:
    chunk_sizer(std::size_t fixed, std::size_t largest) noexcept
        : fixed_{fixed},
          largest_{largest ? largest : 1},
          now_{fixed ? (fixed < largest_ ? fixed : largest_) : 1} {}
    std::size_t size() const noexcept { return now_; }
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

} // namespace plait::detail
