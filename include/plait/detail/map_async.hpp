// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/arrivals.hpp>
#include <plait/detail/job.hpp>
#include <plait/detail/map_chunk.hpp>
#include <plait/future.hpp>
#include <plait/generator.hpp>
#include <plait/map.hpp>
#include <vector>

// map and its kin over an async_generator: async_generators themselves. Their promises: plait/map.hpp.

namespace plait::detail {

[[noreturn, gnu::visibility("default")]] void throw_map_timeout();
[[noreturn, gnu::visibility("default")]] void throw_map_without_task();

/// Asks an async_generator for its items, one at a time, each in a task of its own: who consumes may then wait for
/// results meanwhile. Such a task has the generator, so it may end, stopped, when nobody asks any more.
template <class T>
class asked_items {
  public:
    using item = typename async_generator<T>::value_type;

    explicit asked_items(async_generator<T>&& all) noexcept : all_{std::move(all)} {}
    asked_items(asked_items&&) = delete;
    ~asked_items() { cancel(); }

    bool asking() const noexcept { return next_.valid(); }
    /// On the worker of the calling task.
    state_base& ask() {
        worker* const here = current().worker;
        if (!here) throw_map_without_task();
        here->enter();
        try {
            auto& asked = *new job<question, async_generator<T>>{*here, submit_options{.created = {}},
                                                                 &asked_items::next, std::move(all_)};
            next_ = future_access::make<reply>(asked);
            here->post(asked);
        } catch (...) {
            here->leave();
            throw;
        }
        return future_access::state(next_);
    }
    /// When that is done; empty at the end.
    outcome<std::optional<item>> answer() {
        outcome<reply> got = std::exchange(next_, {}).get_outcome();
        if (!got) return outcome<std::optional<item>>{got.error()};
        all_ = std::move(got->all);
        return std::move(got->next);
    }
    void cancel() {
        if (next_.valid()) next_.cancel();
    }

  private:
    struct reply {
        async_generator<T> all;
        std::optional<item> next;
    };
    using question = task<reply> (*)(async_generator<T>);

    static task<reply> next(async_generator<T> all) {
        std::optional<item> result;
        if (auto* const given = co_await all.next()) result.emplace(std::move(*given));
        co_return reply{std::move(all), std::move(result)};
    }

    async_generator<T> all_; // while nobody is asked
    future<reply> next_;
};

/// First in, first out, in a vector: <deque> costs more to read than all of this.
template <class T>
class fifo {
  public:
    bool empty() const noexcept { return front_ == all_.size(); }
    std::size_t size() const noexcept { return all_.size() - front_; }
    T& operator[](std::size_t i) noexcept { return all_[front_ + i]; }
    const T& front() const noexcept { return all_[front_]; }
    void push_back(T&& item) { all_.push_back(std::move(item)); }
    void pop_front() {
        if (++front_ == all_.size())
            all_.clear();
        else if (front_ >= 32 && 2 * front_ >= all_.size())
            all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(front_));
        else
            return;
        front_ = 0;
    }

  private:
    std::vector<T> all_;
    std::size_t front_ = 0; // those before it are gone
};

/// The results that were asked for and not yet taken, by number.
template <class R>
class numbered_flights {
  public:
    numbered_flights() = default;
    numbered_flights(numbered_flights&&) = delete;
    ~numbered_flights() { cancel(); }

    std::size_t first() const noexcept { return first_; }
    bool first_done() const { return !flights_.empty() && flights_.front().done(); }

    template <class Submit>
    std::size_t add(Submit submit) {
        flights_.push_back({});
        future<R>& added = flights_[flights_.size() - 1];
        try {
            added = submit();
        } catch (...) { // the item's failure: others may have gone before
            promise<R> failed;
            added = failed.get_future();
            failed.set_exception(std::current_exception());
        }
        return first_ + flights_.size() - 1;
    }
    state_base& state(std::size_t number) { return future_access::state(flights_[number - first_]); }
    future<R> take(std::size_t number) {
        future<R> taken = std::move(flights_[number - first_]);
        for (; !flights_.empty() && !flights_.front().valid(); ++first_) flights_.pop_front();
        return taken;
    }
    /// The last first: one that runs may end at once, and the next one must not begin then.
    void cancel() {
        for (std::size_t i = flights_.size(); i-- > 0;)
            if (flights_[i].valid()) flights_[i].cancel();
    }

  private:
    fifo<future<R>> flights_; // taken ones, behind the first, are without a state
    std::size_t first_ = 0;
};

/// The next one to arrive; `nothing` when the time is over.
[[gnu::visibility("default")]] task<std::size_t> next_arrival(arrivals& from, time_point deadline);

template <map_kind Kind, class R>
using map_result = std::conditional_t<Kind == map_kind::outcomes, outcome<R>, map_value<R>>;

/// One task does it all: whatever comes first, the input's next item or a result, wakes it. Items go out while somebody
/// asks for results, and as long as the window has room.
template <map_kind Kind, class R, class Executor, class F, class T>
async_generator<map_result<Kind, R>> map_async(Executor& ex, F fn, std::size_t window, time_point deadline,
                                               async_generator<T> input) {
    constexpr std::size_t of_input = arrivals::nothing - 1;
    asked_items<T> items{std::move(input)};
    numbered_flights<R> flights;
    fifo<std::size_t> landed; // unordered: by now
    arrivals arrived;
    std::size_t ahead = 0; // pulled, or asked for, and not consumed
    bool ended = false;    // the input is
    std::exception_ptr input_failure;
    std::exception_ptr failure;

    while (!failure) {
        if (!ended && !items.asking() && ahead < window) {
            ++ahead;
            arrived.add(items.ask(), of_input);
        }
        const bool ready = Kind == map_kind::unordered ? !landed.empty() : flights.first_done();
        std::size_t came = arrived.pending() != 0 ? arrived.poll() : arrivals::nothing;
        if (came == arrivals::nothing && !ready) {
            if (arrived.pending() == 0) {
                failure = input_failure;
                break;
            }
            if (deadline == time_point::max()) {
                came = co_await arrived.next_async();
            } else {
                came = co_await next_arrival(arrived, deadline);
                if (came == arrivals::nothing) {
                    failure = outcome_of(throw_map_timeout).error();
                    break;
                }
            }
        }
        if (came == of_input) {
            auto item = items.answer();
            if (item && *item) {
                const std::size_t number =
                    flights.add([&]() -> future<R> { return ex.submit(fn, *std::move(*item)); });
                arrived.add(flights.state(number), number);
            } else {
                ended = true;
                --ahead;
                if (!item) input_failure = item.error();
            }
        } else if (came != arrivals::nothing) {
            if constexpr (Kind == map_kind::unordered) landed.push_back(std::size_t{came});
        } else {
            std::size_t number = flights.first();
            if constexpr (Kind == map_kind::unordered) {
                number = landed.front();
                landed.pop_front();
            }
            outcome<R> result = flights.take(number).get_outcome();
            if constexpr (Kind == map_kind::outcomes) {
                co_yield std::move(result);
            } else if (!result) {
                failure = result.error();
            } else if constexpr (std::is_void_v<R>) {
                co_yield std::monostate{};
            } else {
                co_yield *std::move(result);
            }
            --ahead;
        }
    }
    items.cancel();
    flights.cancel();
    while (arrived.pending() != 0) co_await arrived.next_async();
    if (failure) std::rethrow_exception(failure);
}

} // namespace plait::detail
