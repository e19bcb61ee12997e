// SPDX-License-Identifier: Apache-2.0
#include <plait/event_loop.hpp>

#include "strand/interrupt.hpp"
#include "strand/loop_engine.hpp"
#include "strand/watchdog.hpp"

#include <condition_variable>
#include <mutex>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait {

struct event_loop::implementation {
    explicit implementation(event_loop_options& o)
        : engine{new detail::loop_engine{"event_loop", o.name, std::move(o.on_unhandled)}} {
        engine->report_slow_tasks(o.slow_task_threshold);
    }

    // Whatever is submitted needs somebody to run it: the thread that drives `run` now, or the loop's own.
    void see_it_driven() {
        const std::lock_guard guard{mutex};
        if (now != phase::unused) return;
        engine->start_thread();
        now = phase::threaded;
    }

    detail::owner_ref<detail::loop_engine> engine;
    std::mutex mutex;
    std::condition_variable driver_gone;
    enum class phase : unsigned char { unused, driven, threaded } now = phase::unused; // guarded by mutex
    std::mutex ending; // one shutdown after the other; both return after the end
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

// Counted in first: if `run` comes to its end meanwhile, either it sees that somebody is in, and drives on,
// or we see that nobody drives.
detail::worker& event_loop::admit() {
    self_->engine->enter();
    try {
        self_->see_it_driven();
    } catch (...) {
        self_->engine->leave();
        throw;
    }
    return *self_->engine;
}

detail::worker& event_loop::pick() {
    if (!self_->engine->closed()) self_->see_it_driven();
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
        do loop.drain();
        while (!end_run());
    }
    if (was_interrupted) throw interrupted{};
}

// False: somebody has come in since the loop was drained, and nobody else drives it.
bool event_loop::end_run() {
    using phase = implementation::phase;
    const auto set = [this](phase from, phase to) {
        const std::lock_guard guard{self_->mutex};
        if (self_->now == from) self_->now = to;
        return self_->now == to;
    };
    set(phase::driven, phase::unused);
    if (!self_->engine->idle() && set(phase::unused, phase::driven)) return false;
    self_->driver_gone.notify_all();
    return true;
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
    const std::lock_guard one_after_the_other{self_->ending};
    {
        std::unique_lock guard{self_->mutex};
        self_->driver_gone.wait(guard, [&] { return self_->now != implementation::phase::driven; });
    }
    loop.stop();
    loop.join();
    // Of `run` in a caller's thread; the loop's own has done so itself.
    loop.run_left_behind();
    loop.clear_locals();
}

} // namespace plait
