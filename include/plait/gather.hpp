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
    /// Children under way at the same time; 0: all. Once they are stopped none of the others begins (test C6).
    std::size_t limit = 0;
};

namespace detail {

/// What gather gives in the place of void.
template <class T>
using filled = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
outcome<T> take_outcome(task_result<T>& r) {
    if (r.end() == task_end::none) return outcome<T>{cancelled_error()}; // it never began
    return r.take_outcome();
}

template <class T>
filled<T> take_value(task_result<T>& r) {
    if constexpr (std::is_void_v<T>) {
        r.take_value();
        return {};
    } else {
        return r.take_value();
    }
}

template <class A> // a task, a future, or any other wait
concept awaited = requires(std::remove_cvref_t<A>& a) { detail::as_task(std::move(a)); };
template <awaited A>
using awaited_t = typename decltype(as_task(std::declval<std::remove_cvref_t<A>>()))::value_type;

/// Children in a tuple: gather(a, b, c).
template <class... Ts>
class tuple_join : public join {
  public:
    static constexpr std::size_t children = sizeof...(Ts);

    tuple_join(mode m, task<Ts>&&... tasks) noexcept : join{m, children} {
        make(std::index_sequence_for<Ts...>{}, task_access::take(tasks)...);
    }
    tuple_join(tuple_join&& other) noexcept // before it is awaited
        : join{other.mode_, children} {
        [&]<std::size_t... I>(std::index_sequence<I...> all) {
            make(all, task_access::frame_of<Ts>::from_address(other.child(I).frame.address())...);
        }(std::index_sequence_for<Ts...>{});
        other.use(other.room_);
    }

  protected:
    ~tuple_join() {
        if (this->taken_over()) return;
        for (std::size_t i = 0; i < children; ++i) child(i).frame.destroy();
    }
    std::size_t prepare() noexcept {
        use(room_);
        return children;
    }
    std::exception_ptr error_of(std::size_t i) noexcept override {
        std::exception_ptr error;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((I == i ? static_cast<void>(error = std::get<I>(results_).error()) : void()), ...);
        }(std::index_sequence_for<Ts...>{});
        return error;
    }
    template <std::size_t I>
    auto& result() noexcept {
        return std::get<I>(results_);
    }

  private:
    template <std::size_t... I>
    void make(std::index_sequence<I...>, task_access::frame_of<Ts>... frames) noexcept {
        (make_child(room_, I, children, frames, std::get<I>(results_)), ...);
    }
    join_child& child(std::size_t i) noexcept { return reinterpret_cast<join_child*>(room_)[i]; }

    std::tuple<task_result<Ts>...> results_;
    static constexpr std::size_t room = children * sizeof(join_child);
    // The children. <array> would take the header over its budget.
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-c-arrays)
    alignas(join_child) unsigned char room_[room != 0 ? room : 1];
};

/// Children in a vector: gather(range).
template <class T>
class vector_join : public join {
  public:
    vector_join(mode m, std::vector<task<T>>&& tasks, gather_options options)
        : join{m}, tasks_{std::move(tasks)}, options_{options} {}
    vector_join(vector_join&& other) noexcept // before it is awaited
        : join{other.mode_}, tasks_{std::move(other.tasks_)}, options_{other.options_} {}

  protected:
    ~vector_join() { ::operator delete(room_); }
    std::size_t prepare() {
        room_ = ::operator new(tasks_.size() * child_size);
        results_ = std::vector<task_result<T>>(tasks_.size());
        const bool limited = options_.limit != 0 && options_.limit < tasks_.size();
        if (limited) plain_ = false;
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            make_child<T>(room_, i, tasks_.size(), task_access::take(tasks_[i]), results_[i]);
        use(room_, tasks_.size());
        return limited ? options_.limit : tasks_.size();
    }
    std::exception_ptr error_of(std::size_t i) noexcept override { return results_[i].error(); }
    task_result<T>& result(std::size_t i) noexcept { return results_[i]; }

    std::vector<task<T>> tasks_;
    std::vector<task_result<T>> results_;
    gather_options options_;

  private:
    void* room_ = nullptr; // the children, from the await on
};

/// How a join that can fail ends: throws, or returns.
template <class Join>
class [[nodiscard]] gather_awaiter : public Join {
  public:
    using Join::Join;
    gather_awaiter(gather_awaiter&&) noexcept = default;
    bool await_ready() const noexcept { return false; }
    template <class P>
    auto await_suspend(std::coroutine_handle<P> h) {
        const std::size_t first = this->prepare();
        constexpr bool driven = std::is_base_of_v<promise_base, P>;
        if constexpr (driven && requires { requires Join::children == 2; })
            this->suspend_pair(h);
        else
            return this->suspend(h, first, driven);
    }

  protected:
    ~gather_awaiter() = default;
    void finish() {
        if (this->all_values()) [[likely]]
            return;
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
        if (this->any_cancelled() && running_scope().stopped()) throw_cancelled();
    }
};

template <class... Ts>
class gather_tuple final : public gather_awaiter<tuple_join<Ts...>> {
  public:
    using gather_awaiter<tuple_join<Ts...>>::gather_awaiter;
    std::tuple<filled<Ts>...> await_resume() {
        this->begin_after(sizeof...(Ts));
        return [this]<std::size_t... I>(std::index_sequence<I...>) {
            if (!((this->template result<I>().end() == task_end::value) && ...)) [[unlikely]]
                this->finish();
            return std::tuple<filled<Ts>...>{take_value(this->template result<I>())...};
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
            return std::tuple<outcome<Ts>...>{take_outcome(this->template result<I>())...};
        }(std::index_sequence_for<Ts...>{});
    }
};

template <class T>
class gather_vector final : public gather_awaiter<vector_join<T>> {
  public:
    using gather_awaiter<vector_join<T>>::gather_awaiter;
    std::vector<filled<T>> await_resume() {
        this->begin_after(this->size());
        this->finish();
        std::vector<filled<T>> results;
        results.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i) results.push_back(take_value(this->result(i)));
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
        for (std::size_t i = 0; i < this->size(); ++i) results.push_back(take_outcome(this->result(i)));
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
    using given = std::conditional_t<all_same<Ts...>, first, std::variant<filled<Ts>...>>;

    given await_resume() {
        this->check();
        const std::size_t d = this->decisive();
        this->report_failures(d);
        if (d == this->none) throw_cancelled();
        return winner<0>(d);
    }

  private:
    template <std::size_t I>
    given winner(std::size_t d) {
        if constexpr (I + 1 < sizeof...(Ts)) {
            if (d != I) return winner<I + 1>(d);
        }
        if constexpr (all_same<Ts...>)
            return this->template result<I>().take_value();
        else
            return given{std::in_place_index<I>, take_value(this->template result<I>())};
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
        return this->result(d).take_value();
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
/// Cost:          no allocation but the children's frames; on a pool, some 200 instructions a child that only
///                computes, elsewhere a queue entry for each.
template <class... A>
    requires(detail::awaited<A> && ...)
auto gather(A... tasks) {
    detail::refuse_fragile<A...>();
    return detail::gather_tuple<detail::awaited_t<A>...>{detail::join::mode::all,
                                                         detail::as_task(std::move(tasks))...};
}

/// The same for a range of tasks or futures, whose elements are moved out: a vector of the values, in order.
/// `{.limit = n}`: at most n under way at the same time.
template <detail::awaitable_range Range>
auto gather(Range&& tasks, gather_options options = {}) {
    auto all = detail::collect_tasks(tasks);
    using T = typename decltype(all)::value_type::value_type;
    return detail::gather_vector<T>{detail::join::mode::all, std::move(all), options};
}

/// Every outcome in its place: values, failures and cancellations. Never throws for a child; `cancelled` only
/// when the awaiting task is cancelled, after all have ended (test C5).
template <class... A>
    requires(detail::awaited<A> && ...)
auto gather_outcomes(A... tasks) {
    detail::refuse_fragile<A...>();
    return detail::outcomes_tuple<detail::awaited_t<A>...>{detail::join::mode::settled,
                                                           detail::as_task(std::move(tasks))...};
}
template <detail::awaitable_range Range>
auto gather_outcomes(Range&& tasks, gather_options options = {}) {
    auto all = detail::collect_tasks(tasks);
    using T = typename decltype(all)::value_type::value_type;
    return detail::outcomes_vector<T>{detail::join::mode::settled, std::move(all), options};
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
    return detail::race_tuple<detail::awaited_t<A>...>{detail::join::mode::first,
                                                       detail::as_task(std::move(tasks))...};
}
template <detail::awaitable_range Range>
auto race(Range&& tasks) {
    auto all = detail::collect_tasks(tasks);
    if (all.empty()) detail::throw_empty_race();
    using T = typename decltype(all)::value_type::value_type;
    return detail::race_vector<T>{detail::join::mode::first, std::move(all), gather_options{}};
}

} // namespace plait
