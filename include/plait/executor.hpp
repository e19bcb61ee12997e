// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/fragile.hpp>
#include <plait/detail/function.hpp>
#include <plait/detail/job.hpp>
#include <plait/detail/posted.hpp>
#include <plait/detail/submitted.hpp>
#include <plait/future.hpp>

namespace plait {

/// How `shutdown` ends an executor.
struct shutdown_options {
    /// Return when everything has ended. False: at once; the destructor still waits.
    bool wait = true;
    /// Cancel what is queued and stop what is suspended, rather than run it. What runs ends normally.
    bool cancel_pending = false;
    /// Kill the workers: running tasks end with worker_lost. Process pools only; elsewhere as
    /// `cancel_pending`.
    bool kill = false;
};

/// A failure that nobody awaits: of a posted function, or of a task whose future was dropped.
struct unhandled_failure {
    const std::exception_ptr& error;
    const char* task_name; // null if it has none
    const char* executor;  // its kind or name
};

/// Told of every such failure, on the thread where it happened; must not throw. Without one: one line on
/// stderr.
using unhandled_handler = detail::function<void(const unhandled_failure&)>;

/// Anything that runs tasks and gives futures: serial, thread_pool, event_loop, loop_pool, process_pool,
/// any_executor.
///
///     auto total(plait::executor auto& ex, const std::vector<std::string>& files) {
///         std::size_t sum = 0;
///         for (std::size_t words : ex.map(count_words, files)) sum += words;   // in order, a window ahead
///         return sum;
///     }
///
/// `submit([options,] fn, args...)`: the callable and the arguments are copied or moved in and live until the
/// task has ended. If `fn` returns task<R>, the worker drives it to its end, and the future is of R. `map(fn,
/// ranges..., [options])`, `map_unordered`, `map_outcomes`: see map.hpp. `concurrency()`: how many tasks can
/// run at the same moment. `shutdown(options)`: see shutdown_options; afterwards `submit` throws
/// shutdown_error. The destructor is `shutdown()`.
template <class E>
concept executor = requires(E& e, void (*f)(), const submit_options& options, const shutdown_options& end) {
    { e.submit(f) } -> std::convertible_to<future<void>>;
    { e.submit(options, f) } -> std::convertible_to<future<void>>;
    { e.concurrency() } -> std::same_as<std::size_t>;
    e.shutdown(end);
};

namespace detail {

enum class map_kind : unsigned char { ordered, unordered, outcomes };

/// Defined in detail/map.hpp: the range that `map` and its kin return.
template <map_kind Kind, class Executor, class F, class... Ranges>
auto make_map(Executor& ex, F fn, Ranges&&... ranges);

} // namespace detail

/// The members that executors share whose tasks run in this process.
///
/// Threads:  all members from any thread, tasks of the same executor included.
/// Errors:   after shutdown they throw shutdown_error, and nothing is queued.
class [[gnu::visibility("default")]] in_process_executor {
  public:
    in_process_executor(const in_process_executor&) = delete;
    in_process_executor& operator=(const in_process_executor&) = delete;

    /// Runs `fn(args...)` on a worker.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] detail::submit_future_t<detail::submit_result_t<F, Args...>, F, Args...>
    submit(F&& fn, Args&&... args) {
        const submit_options none{.created = {}};
        if constexpr (is_function<F, Args...>)
            return start_function(none, std::forward<F>(fn), std::forward<Args>(args)...);
        else
            return start(none, std::forward<F>(fn), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] detail::submit_future_t<detail::submit_result_t<F, Args...>, F, Args...>
    submit(const submit_options& options, F&& fn, Args&&... args) {
        if constexpr (is_function<F, Args...>)
            if (options.timeout == detail::nanoseconds::max())
                return start_function(options, std::forward<F>(fn), std::forward<Args>(args)...);
        return start(options, std::forward<F>(fn), std::forward<Args>(args)...);
    }

    /// Runs `fn()` and forgets it; a failure goes to the unhandled handler.
    template <class F>
        requires std::invocable<std::decay_t<F>>
    void post(F&& fn, std::source_location created = std::source_location::current()) {
        using call = std::decay_t<F>;
        if constexpr (detail::is_task<std::invoke_result_t<call>>) {
            auto& j = make_job<detail::job<call>>(submit_options{.created = created}, std::forward<F>(fn));
            j.abandon(); // before it can fail: the handler hears of every failure
            j.owner().post(j);
        } else {
            if constexpr (detail::posted_by_value<call>) {
                using by_value = detail::posted_as<call>;
                if (by_value::kind.is_posted_at(created) && post_by_value(by_value::record(fn))) return;
            }
            auto& p = make_job<detail::posted_call<call>>(created, std::forward<F>(fn));
            p.owner().post(p);
        }
    }

    /// `fn` over the items of one range or of several side by side, lazily and in order; see map.hpp.
    template <class F, class... Ranges>
    auto map(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::ordered>(*this, std::move(fn),
                                                           std::forward<Ranges>(ranges)...);
    }
    /// The same, results as they finish.
    template <class F, class... Ranges>
    auto map_unordered(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::unordered>(*this, std::move(fn),
                                                             std::forward<Ranges>(ranges)...);
    }
    /// The same in order, each item's outcome in its place; never throws for an item.
    template <class F, class... Ranges>
    auto map_outcomes(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::outcomes>(*this, std::move(fn),
                                                            std::forward<Ranges>(ranges)...);
    }

    /// How many tasks can run at the same moment.
    virtual std::size_t concurrency() const noexcept = 0;

    /// Is the caller a task of a loop that it would hold up by waiting for this executor?
    virtual bool blocks_itself() const noexcept { return false; }

    /// Where the next task would go; for `resume_on` and for adapters.
    detail::worker& next_worker() { return pick(); }
    /// The same for a task, which is counted in there; throws shutdown_error. For adapters, which owe it a
    /// `leave()`.
    virtual detail::worker& admit() {
        detail::worker& at = pick();
        at.enter();
        return at;
    }

  protected:
    in_process_executor() = default;
    ~in_process_executor() = default;

    virtual detail::worker& pick() = 0;
    /// A small function, for an executor that queues it as it is. False: this one does not, or not here.
    virtual bool post_by_value(const detail::posted_record& record) {
        static_cast<void>(record);
        return false;
    }

    /// The worker of an executor that counts functions in when it queues them, by `count_in_and_post`; throws
    /// shutdown_error. Null: the others count them in first, by admit().
    virtual detail::worker* counting_queue() { return nullptr; }
    virtual void count_in_and_post(detail::work& w) { static_cast<void>(w); }

  private:
    template <class F, class... Args>
    static constexpr bool is_function =
        !detail::is_task<std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>>;

    /// Counted in; a job with an owner for its future and one for the queue.
    template <class Job, class Options, class... Call>
    Job& make_job(const Options& options, Call&&... call) {
        detail::worker& at = admit();
        try {
            return *new Job{at, options, std::forward<Call>(call)...};
        } catch (...) {
            at.leave();
            throw;
        }
    }

    template <class F, class... Args>
    auto start(const submit_options& options, F&& fn, Args&&... args) {
        using job = detail::job<std::decay_t<F>, std::decay_t<Args>...>;
        auto& j = make_job<job>(options, std::forward<F>(fn), std::forward<Args>(args)...);
        using R = detail::submit_result_t<F, Args...>;
        detail::submit_future_t<R, F, Args...> result{detail::future_access::make<R>(j)};
        j.owner().post(j);
        return result;
    }

    /// The same for a function without a time limit.
    template <class F, class... Args>
    auto start_function(const submit_options& options, F&& fn, Args&&... args) {
        using call = detail::submitted_call<std::decay_t<F>, std::decay_t<Args>...>;
        using R = detail::submit_result_t<F, Args...>;
        detail::worker* const queue = counting_queue();
        auto& c = queue ? *new call{*queue, options, std::forward<F>(fn), std::forward<Args>(args)...}
                        : make_job<call>(options, std::forward<F>(fn), std::forward<Args>(args)...);
        detail::submit_future_t<R, F, Args...> result{detail::future_access::make<R>(c)};
        if (!queue) {
            c.owner().post(c);
            return result;
        }
        try {
            count_in_and_post(c);
        } catch (...) {
            c.give_up();
            throw;
        }
        return result;
    }
};

} // namespace plait

#include <plait/detail/map.hpp> // the bodies of map, map_unordered and map_outcomes
