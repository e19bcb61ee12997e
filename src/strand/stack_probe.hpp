// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/chrono.hpp>
#include <pthread.h>
#include <source_location>
#include <string>

namespace plait::detail {

/// What a thread was doing, seen from inside it.
struct thread_stack {
    bool in_task = false;
    struct {
        std::string name;              // empty: it has none
        const char* name_at = nullptr; // tells names apart; may be gone
        std::source_location created;
        std::source_location at; // the await that it last reached
    } task;
    std::string text; // a line a frame; empty: no answer in time
};

/// Chooses a real-time signal that nobody uses, and loads what `backtrace` needs: its first call allocates.
void prepare_stack_probe() noexcept;

/// Interrupts `thread`, which must be alive, by that signal. One caller at a time.
thread_stack probe_stack(::pthread_t thread, nanoseconds patience);

} // namespace plait::detail
