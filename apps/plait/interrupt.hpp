// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/fetch.hpp>

namespace plait::app {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks `what` to stop, the second one to stop now; a
/// third one, or a second without it having stopped, ends the program with status 130. One at a time.
class interrupt_guard {
  public:
    explicit interrupt_guard(fetch::stopper& what);
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;
};

} // namespace plait::app
