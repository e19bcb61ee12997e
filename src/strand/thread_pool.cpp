// SPDX-License-Identifier: Apache-2.0
#include <plait/thread_pool.hpp>

#include "strand/pool_engine.hpp"
#include "sys/placement.hpp"

#include <mutex>
#include <stdexcept>
#include <string>

namespace plait {

namespace {

// What each thread does before the user's own initializer, which may be run again if it throws.
detail::function<void()> settle(thread_pool_options& o) {
    return [plan = detail::placement_plan{o.placement, std::move(o.processors)},
            initializer = std::move(o.initializer)]() mutable {
        plan.bind(detail::current().slot);
        if (initializer) initializer();
    };
}

} // namespace

struct thread_pool::implementation {
    implementation(std::size_t workers, thread_pool_options& o)
        : engine{new detail::pool_engine{workers, o.name, settle(o), std::move(o.on_unhandled)}} {}

    detail::owner_ref<detail::pool_engine> engine;
    std::mutex ending; // one shutdown after the other; both return after the end
};

thread_pool::thread_pool(thread_pool_options options) : self_{nullptr}, worker_{nullptr} {
    const bool chosen = options.workers != thread_pool_options::default_workers;
    if (chosen && options.workers < 1)
        throw std::invalid_argument{"thread_pool: .workers is " + std::to_string(options.workers) +
                                    "; at least 1 is needed"};
    const std::size_t workers = chosen ? static_cast<std::size_t>(options.workers) : available_processors();
    self_ = new implementation{workers, options};
    worker_ = &*self_->engine;
    try {
        self_->engine->start();
    } catch (...) {
        delete self_;
        throw;
    }
}

thread_pool::~thread_pool() {
    if (self_->engine->is_current()) {
        // From one of its own tasks: nobody can wait here. The threads end when the last task has.
        self_->engine->close();
        self_->engine->defer();
    } else {
        shutdown({});
    }
    delete self_;
}

std::size_t thread_pool::concurrency() const noexcept { return self_->engine->size(); }

detail::worker& thread_pool::pick() { return *worker_; }

bool thread_pool::post_by_value(const detail::posted_record& record) {
    return self_->engine->post_by_value(record);
}

detail::worker* thread_pool::counting_queue() {
    self_->engine->refuse_if_closed(); // before the function is moved
    return &*self_->engine;
}

void thread_pool::count_in_and_post(detail::work& w) { self_->engine->count_in_and_post(w); }

void thread_pool::shutdown(const shutdown_options& options) {
    detail::pool_engine& pool = *self_->engine;
    if (options.wait && pool.is_current())
        throw std::logic_error{
            "thread_pool::shutdown: a task of this pool cannot wait for the pool's end; pass "
            "{.wait = false}"};
    pool.close();
    if (options.cancel_pending || options.kill) {
        pool.cancel_pending();
        pool.refuse_queued();
        pool.stop_roots();
    }
    if (!options.wait) return;
    pool.wait_idle();
    const std::lock_guard guard{self_->ending};
    pool.stop_and_join();
}

} // namespace plait
