// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "conformance/reasons.hpp"

#include <gtest/gtest.h>

#include <plait/any_executor.hpp>
#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/process_pool.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include <utility>

/// Which executors the conformance suite runs over, and how it makes them.
namespace conformance {

/// any_executor twice, since it knows two kinds: what it holds otherwise is here by itself.
using executors = ::testing::Types<plait::serial, plait::thread_pool, plait::event_loop, plait::loop_pool,
                                   plait::process_pool, plait::any_executor, any_threads>;

/// All that a test may want to set.
struct setup {
    int workers = 2;
    plait::unhandled_handler on_unhandled = {};
};

/// An executor with two workers where there is a choice.
template <class E>
auto make(setup s = {}) {
    if constexpr (one_of<E, plait::serial>)
        return plait::serial{{.on_unhandled = std::move(s.on_unhandled)}};
    else if constexpr (one_of<E, plait::event_loop>)
        return plait::event_loop{{.slow_task_threshold = {}, .on_unhandled = std::move(s.on_unhandled)}};
    else if constexpr (one_of<E, plait::any_executor>)
        return E::make("processes", {.workers = s.workers, .on_unhandled = std::move(s.on_unhandled)});
    else if constexpr (one_of<E, any_threads>)
        return plait::any_executor::make("threads",
                                         {.workers = s.workers, .on_unhandled = std::move(s.on_unhandled)});
    else
        return E{{.workers = s.workers, .on_unhandled = std::move(s.on_unhandled)}};
}

/// With an initializer.
template <class E, class Initializer>
    requires sized<E>
E make_with_initializer(Initializer initializer, int workers = 2) {
    return E{{.workers = workers, .initializer = std::move(initializer)}};
}

} // namespace conformance
