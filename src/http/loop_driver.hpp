// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>
#include <plait/detail/timer.hpp>
#include <plait/detail/work.hpp>

#include "http/engine.hpp"
#include "strand/loop_engine.hpp"

namespace plait::http::detail {

/// Drives an engine from an event loop: its epoll descriptor is watched, its deadline stands in the loop's
/// timers.
///
/// The engine keeps an epoll of its own inside the loop's: one more epoll_wait a turn, which serves 16
/// requests under load, and nothing of libcurl's bookkeeping in the loop.
///
/// Threads:   all members on the loop's thread, but for the constructor, dispose() and request_work().
/// Lifetime:  owns a share of the loop, which therefore outlives it.
class loop_driver final : private plait::detail::watch,
                          private plait::detail::timer,
                          private plait::detail::work {
  public:
    loop_driver(plait::detail::loop_engine& loop, settings common);

    [[nodiscard]] plait::detail::loop_engine& loop() const noexcept { return loop_; }
    void start(exchange& x);
    void stop(exchange& x) noexcept;
    void go_on(exchange& x);

    /// Destroys it, on its loop's thread or where the loop does not run any more.
    static void dispose(loop_driver* driver) noexcept;

  private:
    ~loop_driver();
    void ready(std::uint32_t events) noexcept override;
    static void fire(plait::detail::timer& t) noexcept;
    static void run_posted(plait::detail::work& w) noexcept;
    void pump() noexcept;
    void call_again() noexcept;

    struct disposal;

    plait::detail::loop_engine& loop_;
    engine engine_;
    disposal* disposal_;
    bool watched_ = false;
    bool posted_ = false;
    bool dying_ = false;
};

/// A task that waits for an exchange. If that is held instead, it stays on the wire, and is the task's to go
/// on with or to stop.
class exchange_waiter final : public plait::detail::waiter {
  public:
    enum class kind : unsigned char { start, go_on };

    exchange_waiter(loop_driver& driver, exchange& x, kind how) noexcept
        : driver_(driver), exchange_(x), kind_(how), starter_(*this) {}
    ~exchange_waiter() {
        exchange_.owner = nullptr;
        if (!exchange_.held) driver_.stop(exchange_); // only if the task was destroyed while it waited
    }

    [[nodiscard]] bool await_ready() const noexcept { return kind_ == kind::go_on && exchange_.over; }
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume() const { check(); }

  private:
    static void on_done(exchange& x) noexcept;
    void begin();
    void unlink() noexcept override { driver_.stop(exchange_); }

    loop_driver& driver_;
    exchange& exchange_;
    kind kind_;
    struct starter : plait::detail::work {
        explicit starter(exchange_waiter& w) noexcept;
        exchange_waiter& self;
    } starter_; // takes the request to its loop when the task runs elsewhere (on a pool)
};

/// Awaits an exchange: `co_await on_wire{driver, x}`. The answer is in x.result, failures included.
///
/// Cancellation:  the connection is closed, and `cancelled` is thrown.
struct on_wire {
    loop_driver& driver;
    exchange& x;
    [[nodiscard]] exchange_waiter operator co_await() const noexcept {
        return {driver, x, exchange_waiter::kind::start};
    }
};

/// The same for one that is held. On the loop's thread.
struct on_wire_again {
    loop_driver& driver;
    exchange& x;
    [[nodiscard]] exchange_waiter operator co_await() const noexcept {
        return {driver, x, exchange_waiter::kind::go_on};
    }
};

} // namespace plait::http::detail
