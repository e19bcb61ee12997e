// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/job.hpp>
#include <plait/detail/team_core.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace plait {

class in_process_executor;
class process_pool;
class serial;

/// A member of a team has failed, or its process has died. The cause is nested: std::rethrow_if_nested.
class [[gnu::visibility("default")]] team_error : public std::runtime_error {
  public:
    team_error(std::size_t rank, std::size_t members, const std::string& why);
    /// Of the member that failed first.
    std::size_t rank() const noexcept { return rank_; }

  private:
    std::size_t rank_;
};

/// A value, and which member it is from.
template <class T>
struct from_member {
    std::size_t rank = 0;
    T item;
};

/// One of a team's members, as its function sees it: who it is, and how it talks to the others.
///
/// Every operation has two forms: one for coroutines, and `..._blocking` for plain functions. One operation
/// of a member at a time.
///
/// The collective ones (barrier, broadcast, scatter, gather, all_gather, reduce, all_reduce) are called by
/// all members, in the same order. Reductions go by rank, from 0 on, so that results are equal to the last
/// bit whatever the executor.
///
/// T:             sendable, shared arrays and pipes included.
/// Threads:       the member's own.
/// Order:         from one member to another, by tag: first in, first out.
/// Cancellation:  a cancelled operation leaves the member unfit to go on: let `cancelled` end it (team_test,
///                ACancelledTeam...).
/// Errors:        a rank that there is none of: out_of_range. The other member has ended, or some member has
///                failed: closed_error; let it out, and `team` throws what was first.
/// Cost:          a message is a system call at each end. What comes out of turn waits in the member's
///                memory.
class team_member {
    using waits = detail::waits;

  public:
    /// From 0 on.
    std::size_t rank() const noexcept { return core_.rank(); }
    std::size_t size() const noexcept { return core_.size(); }

    /// To one other member, or to oneself.
    template <class T>
    [[nodiscard]] task<void> send(std::size_t to, const T& x, int tag = 0) {
        return core_.send(to, detail::letter::own, tag, detail::encode_message(x), waits::suspended);
    }
    template <class T>
    void send_blocking(std::size_t to, const T& x, int tag = 0) {
        detail::run_at_once(
            core_.send(to, detail::letter::own, tag, detail::encode_message(x), waits::blocked));
    }
    template <class T>
    [[nodiscard]] task<T> receive(std::size_t from, int tag = 0) {
        return take<T>(from, tag, waits::suspended);
    }
    template <class T>
    T receive_blocking(std::size_t from, int tag = 0) {
        return detail::run_at_once(take<T>(from, tag, waits::blocked));
    }
    /// From whoever has sent one.
    template <class T>
    [[nodiscard]] task<from_member<T>> receive_any(int tag = 0) {
        return take_any<T>(tag, waits::suspended);
    }
    template <class T>
    from_member<T> receive_any_blocking(int tag = 0) {
        return detail::run_at_once(take_any<T>(tag, waits::blocked));
    }
    /// Sends to one and receives from another, or the same.
    template <class T>
    [[nodiscard]] task<T> sendrecv(std::size_t to, const T& x, std::size_t from, int tag = 0) {
        return swap<T>(to, detail::encode_message(x), from, tag, waits::suspended);
    }
    template <class T>
    T sendrecv_blocking(std::size_t to, const T& x, std::size_t from, int tag = 0) {
        return detail::run_at_once(swap<T>(to, detail::encode_message(x), from, tag, waits::blocked));
    }

    /// Nobody goes on before all have come.
    [[nodiscard]] task<void> barrier() { return meet(waits::suspended); }
    void barrier_blocking() { detail::run_at_once(meet(waits::blocked)); }

    /// What `root` has given; what others have given is not looked at.
    template <class T>
    [[nodiscard]] task<T> broadcast(std::size_t root, T x) {
        return spread(root, std::move(x), waits::suspended);
    }
    template <class T>
    T broadcast_blocking(std::size_t root, T x) {
        return detail::run_at_once(spread(root, std::move(x), waits::blocked));
    }
    /// Each gets its item of what `root` has given, which are as many as there are members.
    template <class T>
    [[nodiscard]] task<T> scatter(std::size_t root, std::vector<T> items) {
        return deal(root, std::move(items), waits::suspended);
    }
    template <class T>
    T scatter_blocking(std::size_t root, std::vector<T> items) {
        return detail::run_at_once(deal(root, std::move(items), waits::blocked));
    }
    /// All that was given, by rank, at `root`; elsewhere empty.
    template <class T>
    [[nodiscard]] task<std::vector<T>> gather(std::size_t root, T x) {
        return collect(root, std::move(x), waits::suspended);
    }
    template <class T>
    std::vector<T> gather_blocking(std::size_t root, T x) {
        return detail::run_at_once(collect(root, std::move(x), waits::blocked));
    }
    /// The same at each.
    template <class T>
    [[nodiscard]] task<std::vector<T>> all_gather(T x) {
        return collect_everywhere(std::move(x), waits::suspended);
    }
    template <class T>
    std::vector<T> all_gather_blocking(T x) {
        return detail::run_at_once(collect_everywhere(std::move(x), waits::blocked));
    }
    /// op(...op(op(x of 0, x of 1), x of 2)..., x of the last), at `root`; elsewhere one's own.
    template <class T, class Op>
    [[nodiscard]] task<T> reduce(std::size_t root, T x, Op op) {
        return fold(root, std::move(x), std::move(op), waits::suspended);
    }
    template <class T, class Op>
    T reduce_blocking(std::size_t root, T x, Op op) {
        return detail::run_at_once(fold(root, std::move(x), std::move(op), waits::blocked));
    }
    /// The same at each.
    template <class T, class Op>
    [[nodiscard]] task<T> all_reduce(T x, Op op) {
        return fold_everywhere(std::move(x), std::move(op), waits::suspended);
    }
    template <class T, class Op>
    T all_reduce_blocking(T x, Op op) {
        return detail::run_at_once(fold_everywhere(std::move(x), std::move(op), waits::blocked));
    }

    /// For a grid that is cut into strips of rows, one a member, from rank 0 at the top. `rows` is this
    /// member's strip with `halo` more rows above and below it, each `width` long: its own first and last
    /// `halo` rows go to the neighbours, and theirs come into the rows around. At the grid's edges those stay
    /// as they are.
    template <class T>
    [[nodiscard]] task<void> exchange_borders(std::span<T> rows, std::size_t width, std::size_t halo = 1) {
        return trade_borders(rows, width, halo, waits::suspended);
    }
    template <class T>
    void exchange_borders_blocking(std::span<T> rows, std::size_t width, std::size_t halo = 1) {
        detail::run_at_once(trade_borders(rows, width, halo, waits::blocked));
    }

  private:
    template <class F>
    friend class detail::team_body;
    explicit team_member(detail::team_seat seat) : core_{std::move(seat)} {}

    // Each once, for both forms; the bodies are in detail/team.hpp.
    template <class T>
    task<T> take(std::size_t from, int tag, waits how);
    template <class T>
    task<from_member<T>> take_any(int tag, waits how);
    template <class T>
    task<T> swap(std::size_t to, detail::pipe_message m, std::size_t from, int tag, waits how);
    task<void> meet(waits how);
    template <class T>
    task<T> spread(std::size_t root, T x, waits how);
    template <class T>
    task<T> deal(std::size_t root, std::vector<T> items, waits how);
    template <class T>
    task<std::vector<T>> collect(std::size_t root, T x, waits how);
    template <class T>
    task<std::vector<T>> collect_everywhere(T x, waits how);
    template <class T, class Op>
    task<T> fold(std::size_t root, T x, Op op, waits how);
    template <class T, class Op>
    task<T> fold_everywhere(T x, Op op, waits how);
    template <class T>
    task<void> trade_borders(std::span<T> rows, std::size_t width, std::size_t halo, waits how);
    template <class T>
    task<void> tell(std::size_t to, const T& x, int operation, waits how);
    template <class T>
    task<T> hear(std::size_t from, int operation, waits how);

    detail::team_core core_;
};

/// Runs `n` members, each with a `team_member&` that says who it is, on any executor, and gives their results
/// by rank: a std::vector<R>, or nothing.
///
///     plait::task<double> simulate(plait::team_member& me, int steps) {
///         std::vector<double> rows = strip_of(me.rank(), me.size());
///         for (int i = 0; i < steps; ++i) {
///             co_await me.exchange_borders(std::span{rows}, width);
///             relax(rows);
///         }
///         double warmest = *std::ranges::max_element(own_rows(rows));
///         co_return co_await me.all_reduce(warmest, [](double a, double b) { return std::max(a, b); });
///     }
///
/// Eight equal numbers come of this:
///
///     std::vector<double> warmest = plait::team(pool, 8, simulate, 1000);
///
/// The same member runs over threads, one loop, a pool of loops and processes, with the same results. Written
/// as a coroutine it needs no thread of its own; over processes, members share one where there are more of
/// them than workers. A plain function, which uses the `..._blocking` forms, needs `concurrency() >= n`. A
/// member has to run while others wait for it: give the team an executor that is not full of other work, and
/// one team at a time.
///
/// Blocks until all have ended; from a coroutine, `co_await team_async(...)`.
///
/// Over processes, function, arguments and results must be sendable; arguments are copied to each member.
///
/// Cancellation:  of `team_async`: the members are told, and waited for (team_test, ACancelledTeam...).
/// Errors:        a member that throws, or whose process dies: the others' operations throw closed_error, and
///                when all have ended team_error names the first, with its exception nested. Nobody waits for
///                the dead. n = 0, or too many for the executor: invalid_argument.
template <class Executor, class F, class... Args>
auto team(Executor& executor, std::size_t n, F fn, const Args&... args);

/// The same for coroutines.
template <class Executor, class F, class... Args>
auto team_async(Executor& executor, std::size_t n, F fn, Args... args);

} // namespace plait

#include <plait/detail/team.hpp> // the bodies
#include <plait/detail/team_member.hpp>
