// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strand/loop_engine.hpp"

#include <plait/detail/future_word.hpp>
#include <signal.h>

namespace plait::detail {

/// Tells a driven loop that its main task has ended, on whatever thread that was.
class main_run_hook final : public completion {
  public:
    explicit main_run_hook(loop_engine& loop) noexcept : loop_{loop} {}
    bool claim() noexcept override { return true; }
    void fire() noexcept override {
        over_.store(1, order::release); // before the wake, or the loop would not see it and sleep again
        loop_.wake();
        over_.store(2, order::release); // last: from here on this may go; pairs with wait_gone()
    }
    bool over() const noexcept { return over_.load(order::acquire) != 0; }
    /// Before it goes, if it was hooked and is over.
    void wait_gone() const noexcept {
        for (unsigned round = 0; over_.load(order::acquire) != 2; ++round) system_policy::pause(round);
    }

  private:
    loop_engine& loop_;
    atomic<std::uint32_t> over_{0};
};

/// SIGINT while `run` asked for it. At most one at a time, on the main thread, and only where nobody else
/// handles it.
class interrupt_guard {
  public:
    interrupt_guard(bool wanted, loop_engine& loop) noexcept;
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;

    /// Has the first one arrived since the last call?
    bool take() const noexcept;

  private:
    bool installed_ = false;
    struct sigaction before_{};
};

} // namespace plait::detail
