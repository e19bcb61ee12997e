// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/child.hpp>
#include <plait/detail/join.hpp>
#include <tuple>
#include <variant>
#include <vector>

namespace plait {

/// For gather over a range.
struct gather_options {
    /// Children under way at the same time; 0: all.
    std::size_t limit = 0;
};

namespace detail {

/// What gather gives in the place of void.
template <class T>
using filled = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
filled<T> take_filled(outcome<T>&& o) {
    if constexpr (std::is_void_v<T>) {
        std::move(o).value();
        return {};
    } else {
        return std::move(o).value();
    }
}

template <class T>
child_end end_of_task(task<T>& t) noexcept {
    outcome<T>& o = task_access::result(t);
    if (o) return child_end::value;
    return is_cancellation(o.error()) ? child_end::cancelled : child_end::failure;
}

template <class A> // a task, a future, or any other wait
concept awaited = requires(std::remove_cvref_t<A>& a) { detail::as_task(std::move(a)); };
template <awaited A>
using awaited_t = typename decltype(as_task(std::declval<std::remove_cvref_t<A>>()))::value_type;

/// Children in a tuple: gather(a, b, c).
template <class... Ts>
class tuple_join : public join {
  public:
    tuple_join(mode m, const char* what, task<Ts>&&... tasks) : join{m, what}, tasks_{std::move(tasks)...} {}
    tuple_join(tuple_join&& other) noexcept // before it is awaited
        : join{other.mode_, other.what_}, tasks_{std::move(other.tasks_)} {}

  protected:
    ~tuple_join() = default;
    void prepare() {
        use(make_children(room_, sizeof...(Ts)), sizeof...(Ts));
        each([this](std::size_t i, auto& t) {
            child(i).frame = task_access::prepare(t, child(i).scope, child(i));
        });
    }
    child_end end_of(std::size_t i) noexcept override {
        child_end result{};
        each([&](std::size_t k, auto& t) {
            if (k == i) result = end_of_task(t);
        });
        return result;
    }
    std::exception_ptr error_of(std::size_t i) noexcept override {
        std::exception_ptr result;
        each([&](std::size_t k, auto& t) {
            if (k == i) result = task_access::result(t).error();
        });
        return result;
    }
    template <std::size_t I>
    auto take() {
        auto& t = std::get<I>(tasks_);
        using T = std::tuple_element_t<I, std::tuple<Ts...>>;
        return ran(I) ? outcome<T>{std::move(task_access::result(t))} : outcome<T>{cancelled_error()};
    }
    template <class F>
    void each(F&& f) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (f(I, std::get<I>(tasks_)), ...);
        }(std::index_sequence_for<Ts...>{});
    }

    std::tuple<task<Ts>...> tasks_;

  private:
    static constexpr std::size_t room = sizeof...(Ts) * sizeof(join_child);
    // The children, from the await on. <array> would take the header over its budget.
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-c-arrays)
    alignas(join_child) unsigned char room_[room != 0 ? room : 1];
};

/// Children in a vector: gather(range).
template <class T>
class vector_join : public join {
  public:
    vector_join(mode m, const char* what, std::vector<task<T>>&& tasks, gather_options options)
        : join{m, what}, tasks_{std::move(tasks)}, options_{options} {}
    vector_join(vector_join&& other) noexcept // before it is awaited
        : join{other.mode_, other.what_}, tasks_{std::move(other.tasks_)}, options_{other.options_} {}

  protected:
    ~vector_join() = default;
    void prepare() {
        allocate(tasks_.size());
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            child(i).frame = task_access::prepare(tasks_[i], child(i).scope, child(i));
    }
    child_end end_of(std::size_t i) noexcept override { return end_of_task(tasks_[i]); }
    std::exception_ptr error_of(std::size_t i) noexcept override {
        return task_access::result(tasks_[i]).error();
    }
    outcome<T> take(std::size_t i) {
        if (!ran(i)) return outcome<T>{cancelled_error()};
        outcome<T> o{std::move(task_access::result(tasks_[i]))};
        tasks_[i] = {}; // its frame
        return o;
    }

    std::vector<task<T>> tasks_;
    gather_options options_;
};

/// How a join that can fail ends: throws, or returns.
template <class Join>
class [[nodiscard]] gather_awaiter : public Join {
  public:
    using Join::Join;
    gather_awaiter(gather_awaiter&&) noexcept = default;
    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        this->prepare();
        std::size_t limit = 0;
        if constexpr (requires { this->options_; }) limit = this->options_.limit;
        return this->suspend(h, limit, std::is_base_of_v<promise_base, P>);
    }

  protected:
    ~gather_awaiter() = default;
    void finish() {
        this->check();
        if (const std::size_t d = this->decisive(); d != Join::none) { // else nobody has failed
            this->report_failures(d);
            std::rethrow_exception(this->error_of(d));
        }
        if (this->any_cancelled()) throw_cancelled();
    }
    /// For outcomes: only a cancellation from outside throws.
    void finish_settled() {
        this->check();
        if (this->any_cancelled() && this->scope().stopped()) throw_cancelled();
    }
};

template <class... Ts>
class gather_tuple final : public gather_awaiter<tuple_join<Ts...>> {
  public:
    using gather_awaiter<tuple_join<Ts...>>::gather_awaiter;
    std::tuple<filled<Ts>...> await_resume() {
        this->finish();
        return [this]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple<filled<Ts>...>{take_filled(this->template take<I>())...};
        }(std::index_sequence_for<Ts...>{});
    }
};

template <class... Ts>
class outcomes_tuple final : public gather_awaiter<tuple_join<Ts...>> {
  public:
    using gather_awaiter<tuple_join<Ts...>>::gather_awaiter;
    std::tuple<outcome<Ts>...> await_resume() {
        this->finish_settled();
        return [this]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple<outcome<Ts>...>{this->template take<I>()...};
        }(std::index_sequence_for<Ts...>{});
    }
};

template <class T>
class gather_vector final : public gather_awaiter<vector_join<T>> {
  public:
    using gather_awaiter<vector_join<T>>::gather_awaiter;
    std::vector<filled<T>> await_resume() {
        this->finish();
        std::vector<filled<T>> results;
        results.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i) results.push_back(take_filled(this->take(i)));
        return results;
    }
};

template <class T>
class outcomes_vector final : public gather_awaiter<vector_join<T>> {
  public:
    using gather_awaiter<vector_join<T>>::gather_awaiter;
    std::vector<outcome<T>> await_resume() {
        this->finish_settled();
        std::vector<outcome<T>> results;
        results.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i) results.push_back(this->take(i));
        return results;
    }
};

template <class First, class... Rest>
inline constexpr bool all_same = (std::is_same_v<First, Rest> && ...);

template <class... Ts>
class race_tuple final : public gather_awaiter<tuple_join<Ts...>> {
    using first = std::tuple_element_t<0, std::tuple<Ts...>>;

  public:
    using gather_awaiter<tuple_join<Ts...>>::gather_awaiter;
    using result = std::conditional_t<all_same<Ts...>, first, std::variant<filled<Ts>...>>;

    result await_resume() {
        this->check();
        const std::size_t d = this->decisive();
        this->report_failures(d);
        if (d == this->none) throw_cancelled();
        if (this->end_of(d) == child_end::failure) std::rethrow_exception(this->error_of(d));
        return winner<0>(d);
    }

  private:
    template <std::size_t I>
    result winner(std::size_t d) {
        if constexpr (I + 1 < sizeof...(Ts)) {
            if (d != I) return winner<I + 1>(d);
        }
        if constexpr (all_same<Ts...>)
            return this->template take<I>().value();
        else
            return result{std::in_place_index<I>, take_filled(this->template take<I>())};
    }
};

template <class T>
class race_vector final : public gather_awaiter<vector_join<T>> {
  public:
    using gather_awaiter<vector_join<T>>::gather_awaiter;
    T await_resume() {
        this->check();
        const std::size_t d = this->decisive();
        this->report_failures(d);
        if (d == this->none) throw_cancelled();
        return this->take(d).value();
    }
};

[[noreturn, gnu::visibility("default")]] void throw_empty_race();

/// The tasks of any range of tasks or futures.
template <class Range>
auto collect_tasks(Range&& range) {
    using item = std::remove_cvref_t<decltype(*range.begin())>;
    std::vector<task<awaited_t<item>>> tasks;
    if constexpr (requires { range.size(); }) tasks.reserve(range.size());
    for (auto&& t : range) tasks.push_back(as_task(std::move(t)));
    return tasks;
}

template <class R>
concept awaitable_range = requires(R& r) {
    r.begin();
    r.end();
    requires awaited<std::remove_cvref_t<decltype(*r.begin())>>;
};

} // namespace detail

/// Runs all of them at the same time and gives their values in the order of the arguments, whatever the order
/// in which they finish: a tuple, with std::monostate for void. Tasks and futures mix.
///
///     auto [user, orders] = co_await plait::gather(load_user(id), load_orders(id));
///
/// Cancellation:  passed on to the children; throws `cancelled` when all of them have ended (test C6).
/// Errors:        the first failure in time, after the others have been cancelled **and have ended**; what
///                they fail with meanwhile goes to the executor's unhandled handler.
/// Cost:          one allocation for all children, a queue entry for each.
template <class... A>
    requires(detail::awaited<A> && ...)
auto gather(A... tasks) {
    detail::refuse_fragile<A...>();
    return detail::gather_tuple<detail::awaited_t<A>...>{detail::join::mode::all, "gather",
                                                         detail::as_task(std::move(tasks))...};
}

/// The same for a range of tasks or futures, whose elements are moved out: a vector of the values, in order.
/// `{.limit = n}`: at most n under way at the same time.
template <detail::awaitable_range Range>
auto gather(Range&& tasks, gather_options options = {}) {
    auto all = detail::collect_tasks(tasks);
    using T = typename decltype(all)::value_type::value_type;
    return detail::gather_vector<T>{detail::join::mode::all, "gather", std::move(all), options};
}

/// Every outcome in its place: values, failures and cancellations. Never throws for a child; `cancelled` only
/// when the awaiting task is cancelled, after all have ended (test C5).
template <class... A>
    requires(detail::awaited<A> && ...)
auto gather_outcomes(A... tasks) {
    detail::refuse_fragile<A...>();
    return detail::outcomes_tuple<detail::awaited_t<A>...>{detail::join::mode::settled, "gather_outcomes",
                                                           detail::as_task(std::move(tasks))...};
}
template <detail::awaitable_range Range>
auto gather_outcomes(Range&& tasks, gather_options options = {}) {
    auto all = detail::collect_tasks(tasks);
    using T = typename decltype(all)::value_type::value_type;
    return detail::outcomes_vector<T>{detail::join::mode::settled, "gather_outcomes", std::move(all),
                                      options};
}

/// The first one to end decides: its value, or its exception. The others are cancelled and awaited. Of one
/// type: a T; of several: a std::variant, by position.
///
/// Cancellation:  passed on; throws `cancelled` if all were cancelled.
/// Errors:        failures of the losers go to the executor's unhandled handler; std::invalid_argument if
///                there is nobody to race.
template <class... A>
    requires(sizeof...(A) > 0 && (detail::awaited<A> && ...))
auto race(A... tasks) {
    detail::refuse_fragile<A...>();
    return detail::race_tuple<detail::awaited_t<A>...>{detail::join::mode::first, "race",
                                                       detail::as_task(std::move(tasks))...};
}
template <detail::awaitable_range Range>
auto race(Range&& tasks) {
    auto all = detail::collect_tasks(tasks);
    if (all.empty()) detail::throw_empty_race();
    using T = typename decltype(all)::value_type::value_type;
    return detail::race_vector<T>{detail::join::mode::first, "race", std::move(all), gather_options{}};
}

} // namespace plait
