// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/identity.hpp>
#include <plait/gather.hpp>
#include <plait/shield.hpp>
#include <plait/team.hpp>
#include <plait/wait.hpp>
#include <variant>

// Running a team's members.

namespace plait {

namespace detail {

template <class R>
using team_item = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

/// What a task of a team runs: one member, or several that share a worker.
template <class F>
class team_body {
  public:
    team_body() = default;
    explicit team_body(F f) : fn_(std::move(f)) {}

    template <class... Args>
        requires is_task<std::invoke_result_t<const F&, team_member&, const Args&...>>
    auto operator()(std::vector<team_seat> seats, Args... args) const -> task<
        std::vector<team_item<task_value_t<std::invoke_result_t<const F&, team_member&, const Args&...>>>>> {
        using item = team_item<task_value_t<std::invoke_result_t<const F&, team_member&, const Args&...>>>;
        bool one_has_failed = false; // of those that share this worker, and so its thread
        std::vector<task<item>> members;
        for (team_seat& seat : seats)
            members.push_back(run_one<item>(one_has_failed, std::move(seat), args...));
        seats.clear();
        if (members.size() == 1) {
            std::vector<item> one;
            item only = co_await std::move(members.front());
            one.push_back(std::move(only));
            co_return one;
        }
        std::vector<item> all = co_await plait::gather(std::move(members));
        co_return all;
    }

    template <class... Args>
        requires(!is_task<std::invoke_result_t<const F&, team_member&, const Args&...>>)
    auto operator()(std::vector<team_seat> seats, Args... args) const {
        using result = std::remove_cvref_t<std::invoke_result_t<const F&, team_member&, const Args&...>>;
        team_member me{std::move(seats.front())};
        seats.clear();
        std::vector<team_item<result>> one;
        try {
            if constexpr (std::is_void_v<result>) {
                detail::invoke(fn_, me, std::as_const(args)...);
                one.emplace_back();
            } else {
                one.push_back(detail::invoke(fn_, me, std::as_const(args)...));
            }
        } catch (...) {
            me.core_.complain();
            throw;
        }
        run_at_once(me.core_.leave(waits::blocked));
        return one;
    }

  private:
    template <class Item, class... Args>
    task<Item> run_one(bool& one_has_failed, team_seat seat, const Args&... args) const {
        team_member me{std::move(seat)};
        std::optional<Item> result;
        try {
            if constexpr (std::is_same_v<Item, std::monostate>) {
                co_await detail::invoke(fn_, me, args...);
                result.emplace();
            } else {
                result.emplace(co_await detail::invoke(fn_, me, args...));
            }
        } catch (...) {
            me.core_.complain();
            // What the first one brings about in the others is nobody's to hear of.
            if (std::exchange(one_has_failed, true)) throw cancelled{};
            throw;
        }
        co_await me.core_.leave(waits::suspended);
        co_return std::move(*result);
    }

    friend struct handle_access;
    void save_handle(byte_writer& out) const { encode_callable(out, fn_); }
    static team_body load_handle(byte_reader& in) { return team_body{decode_callable<F>(in)}; }

    [[no_unique_address]] F fn_;
};
/// Its function is looked at apart, see team.
template <class F>
inline constexpr bool is_handle<team_body<F>> = true;

template <class Executor>
bool runs_in_processes([[maybe_unused]] const Executor& executor) {
    if constexpr (requires { executor.name(); })
        return executor.name() == "processes";
    else
        return std::is_same_v<Executor, process_pool>;
}
template <class Executor>
bool runs_in_the_caller([[maybe_unused]] const Executor& executor) {
    if constexpr (requires { executor.name(); })
        return executor.name() == "serial";
    else
        return std::is_same_v<Executor, serial>;
}

/// A team that runs: its tasks, and what they have given.
template <class Item, bool Coroutine>
class team_run {
  public:
    template <class Executor, class F, class... Args>
    team_run(Executor& executor, std::size_t n, const F& fn, const Args&... args) : setup_{n}, items_(n) {
        // Coroutines need no thread each, but a worker process runs one task at a time: there, some share
        // one.
        const bool one_at_a_time = !Coroutine || runs_in_the_caller(executor);
        if (one_at_a_time && executor.concurrency() < n)
            team_setup::throw_too_many(n, executor.concurrency());
        tasks_ = runs_in_processes(executor) && executor.concurrency() < n ? executor.concurrency() : n;
        // Never again: who begins anew does not know what has been said.
        const submit_options options{.name = "team", .retries = -1, .created = {}};
        try {
            for (std::size_t t = 0; t < tasks_; ++t) {
                std::vector<team_seat> seats;
                for (std::size_t rank = t; rank < n; rank += tasks_) seats.push_back(setup_.take(rank));
                future<std::vector<Item>> f =
                    executor.submit(options, team_body<F>{fn}, std::move(seats), args...);
                seats.clear(); // a copy kept here would hide that a member has gone
                futures.push_back(std::move(f));
                numbers_.push_back(t);
            }
        } catch (...) {
            stop();
            plait::wait(futures);
            throw;
        }
    }

    std::vector<future<std::vector<Item>>> futures; // of those that have not been taken

    /// What has ended, by position.
    void take(const std::vector<std::size_t>& done) {
        for (auto at = done.rbegin(); at != done.rend(); ++at) {
            auto result = futures[*at].get_outcome();
            const std::size_t first = numbers_[*at];
            futures.erase(futures.begin() + static_cast<std::ptrdiff_t>(*at));
            numbers_.erase(numbers_.begin() + static_cast<std::ptrdiff_t>(*at));
            if (result.has_value()) {
                std::size_t rank = first;
                for (Item& item : *result) {
                    items_[rank].emplace(std::move(item));
                    rank += tasks_;
                }
                continue;
            }
            std::vector<std::size_t> ranks;
            for (std::size_t rank = first; rank < items_.size(); rank += tasks_) ranks.push_back(rank);
            setup_.failed(std::move(ranks), result.error());
            stop();
        }
    }
    void stop() noexcept {
        setup_.raise_alarm();
        for (auto& f : futures) f.cancel();
    }
    std::vector<Item> results() {
        if (setup_.any_failed()) setup_.rethrow();
        std::vector<Item> all;
        all.reserve(items_.size());
        for (auto& item : items_) all.push_back(std::move(*item));
        return all;
    }

  private:
    team_setup setup_;
    std::vector<std::optional<Item>> items_; // by rank
    std::size_t tasks_ = 0;
    std::vector<std::size_t> numbers_; // which task each of `futures` is: it has the ranks t, t + tasks_, ...
};

template <class F, class... Args>
struct team_types {
    using direct = std::invoke_result_t<const F&, team_member&, const Args&...>;
    using result = std::remove_cvref_t<task_value_t<direct>>;
    using item = team_item<result>;
    using run = team_run<item, is_task<direct>>;
    static_assert(std::is_invocable_v<const F&, team_member&, const Args&...>,
                  "plait: a team's function takes a team_member& and the arguments that were given to team");
};

template <class Executor, class F, class Item, class... Args>
consteval bool check_team() {
    if constexpr (std::is_base_of_v<in_process_executor, Executor>)
        return true;
    else
        return check_call<F, Item, Args...>();
}

template <class Executor, class F, class... Args>
auto run_team(Executor& executor, std::size_t n, F fn, Args... args)
    -> task<std::conditional_t<std::is_void_v<typename team_types<F, Args...>::result>, void,
                               std::vector<typename team_types<F, Args...>::item>>> {
    using types = team_types<F, Args...>;
    using item = typename types::item;
    static_assert(check_team<Executor, F, item, Args...>());
    typename types::run run{executor, n, fn, args...};
    const wait_options any{.until = wait_until::first_completed};
    bool stopped = false;
    while (!run.futures.empty()) {
        std::vector<std::size_t> done;
        try {
            wait_result ended = co_await wait_async(run.futures, any);
            done = std::move(ended.done);
        } catch (const cancelled&) {
            stopped = true;
        }
        if (stopped) {
            run.stop();
            wait_result rest = co_await shield(wait_async(run.futures));
            run.take(rest.done);
            throw cancelled{};
        }
        run.take(done);
    }
    std::vector<item> results = run.results();
    if constexpr (!std::is_void_v<typename types::result>) co_return results;
}

} // namespace detail

template <class Executor, class F, class... Args>
auto team(Executor& executor, std::size_t n, F fn, const Args&... args) {
    using types = detail::team_types<F, std::decay_t<const Args&>...>;
    using item = typename types::item;
    if constexpr (detail::check_team<Executor, F, item, std::decay_t<const Args&>...>()) {
        typename types::run run{executor, n, fn, std::decay_t<const Args&>(args)...};
        while (!run.futures.empty())
            run.take(plait::wait(run.futures, {.until = wait_until::first_completed}).done);
        std::vector<item> results = run.results();
        if constexpr (!std::is_void_v<typename types::result>) return results;
    }
}

template <class Executor, class F, class... Args>
auto team_async(Executor& executor, std::size_t n, F fn, Args... args) {
    return detail::run_team(executor, n, std::move(fn), std::move(args)...);
}

} // namespace plait
