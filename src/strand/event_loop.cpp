// SPDX-License-Identifier: Apache-2.0
#include <plait/event_loop.hpp>

#include "strand/interrupt.hpp"
#include "strand/loop_engine.hpp"
#include "strand/watchdog.hpp"

#include <mutex>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait {

struct event_loop::implementation {
    explicit implementation(event_loop_options& o)
        : engine{new detail::loop_engine{"event_loop", o.name, std::move(o.on_unhandled)}} {
        engine->report_slow_tasks(o.slow_task_threshold);
    }

    detail::engine_ref<detail::loop_engine> engine;
    std::mutex mutex;
    enum class phase : unsigned char {
        unused,
        driven,
        threaded,
        ended
    } now = phase::unused; // guarded by mutex
};

event_loop::event_loop(event_loop_options options) : self_{new implementation{options}} {}

event_loop::~event_loop() {
    detail::loop_engine& loop = *self_->engine;
    if (loop.is_current()) {
        // From a task of this very loop: nobody can wait here. The thread ends when the last task has.
        loop.close();
        loop.defer();
    } else {
        shutdown({});
    }
    delete self_;
}

detail::worker& event_loop::engine() noexcept { return *self_->engine; }

// Whatever is submitted needs somebody to run it: the thread that drives `run` now, or the loop's own.
detail::worker& event_loop::pick() {
    const std::lock_guard guard{self_->mutex};
    if (self_->now == implementation::phase::unused && !self_->engine->closed()) {
        self_->engine->start_thread();
        self_->now = implementation::phase::threaded;
    }
    return *self_->engine;
}

bool event_loop::blocks_itself() const noexcept { return self_->engine->is_current(); }

void event_loop::begin_run() {
    if (detail::current().worker && detail::current().worker->single_threaded())
        throw std::logic_error{
            "event_loop::run: called from a task that runs on a loop already; co_await the task "
            "instead"};
    self_->engine->enter(); // the main task; throws after shutdown
}

void event_loop::finish_run(detail::state_base& main_task, detail::work& queued, run_options options) {
    using phase = implementation::phase;
    {
        const std::lock_guard guard{self_->mutex};
        if (self_->now == phase::threaded) { // the loop has its thread: an ordinary submit and get
            self_->engine->post(queued);
            return;
        }
        if (self_->now == phase::driven) {
            main_task.cancel(cancel_mode::ask);
            queued.run(); // gives up the queue's share
            throw std::logic_error{"event_loop::run: another thread drives this loop already; use submit"};
        }
        self_->now = phase::driven;
    }
    bool was_interrupted = false;
    {
        detail::loop_engine& loop = *self_->engine;
        detail::main_run_hook hook{loop};
        const detail::interrupt_guard interrupts{options.interrupt, loop};
        const detail::watched_loop watched{loop, loop.thread_name(), loop.slow_task_threshold()};
        const bool hooked = main_task.add_hook(hook) == detail::state_base::added::linked;
        loop.post(queued);
        loop.drive_until_woken([&] { // both call wake()
            if (interrupts.take()) {
                was_interrupted = true;
                main_task.cancel(cancel_mode::ask);
            }
            return !hooked || hook.over();
        });
        if (hooked) hook.wait_gone();
        loop.drain();
    }
    {
        const std::lock_guard guard{self_->mutex};
        self_->now = phase::unused;
    }
    if (was_interrupted) throw interrupted{};
}

void event_loop::shutdown(const shutdown_options& options) {
    detail::loop_engine& loop = *self_->engine;
    if (options.wait && loop.is_current())
        throw std::logic_error{
            "event_loop::shutdown: a task of this loop cannot wait for the loop's end; pass "
            "{.wait = false}"};
    loop.close();
    if (options.cancel_pending || options.kill) {
        loop.cancel_pending();
        loop.stop_roots();
    }
    if (!options.wait) return;
    loop.wait_idle();
    const std::lock_guard guard{self_->mutex};
    loop.stop();
    loop.join();
    loop.clear_locals(); // of `run` in a caller's thread; the loop's own has done so itself
    self_->now = implementation::phase::ended;
}

} // namespace plait
