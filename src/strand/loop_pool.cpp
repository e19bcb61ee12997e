// SPDX-License-Identifier: Apache-2.0
#include <plait/loop_pool.hpp>

#include "strand/loop_engine.hpp"
#include "sys/placement.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <plait/processors.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace plait {

struct loop_pool::implementation {
    // Handlers and the initializer are one for all loops; each engine refers to it through these.
    explicit implementation(loop_pool_options& o) : shared{std::make_shared<common>(o)} {}

    struct common {
        explicit common(loop_pool_options& o)
            : name{o.name},
              plan{o.placement, std::move(o.processors)},
              initializer{std::move(o.initializer)},
              handler{std::move(o.on_unhandled)} {}
        const char* name;
        const detail::placement_plan plan;
        detail::function<void()> initializer;
        std::mutex mutex;
        unhandled_handler handler; // guarded by mutex
    };

    // Of one loop: all of them call the one initializer and the one handler, one at a time.
    static unhandled_handler handler_of(const std::shared_ptr<common>& shared) {
        if (!shared->handler) return {};
        return [shared](const unhandled_failure& f) {
            const std::lock_guard guard{shared->mutex};
            shared->handler(f);
        };
    }
    static detail::function<void()> initializer_of(const std::shared_ptr<common>& shared, unsigned loop) {
        return [shared, loop] {
            detail::name_this_thread(shared->name, loop);
            shared->plan.bind(loop);
            if (!shared->initializer) return;
            const std::lock_guard guard{shared->mutex};
            shared->initializer();
        };
    }

    using loop_ref = detail::owner_ref<detail::loop_engine>;
    std::shared_ptr<common> shared;
    std::vector<loop_ref> loops;
    std::atomic<std::size_t> turn{0};
    std::mutex ending;
};

loop_pool::loop_pool(loop_pool_options options) : self_{nullptr} {
    const bool chosen = options.workers != loop_pool_options::default_workers;
    if (chosen && options.workers < 1)
        throw std::invalid_argument{"loop_pool: .workers is " + std::to_string(options.workers) +
                                    "; at least 1 is needed"};
    const std::size_t n = chosen ? static_cast<std::size_t>(options.workers) : available_processors();
    auto self = std::make_unique<implementation>(options);
    self->loops.reserve(n);
    const auto end_all = [&self] {
        for (auto& loop : self->loops) loop->stop();
        for (auto& loop : self->loops) loop->join();
    };
    try {
        for (std::size_t i = 0; i < n; ++i) {
            self->loops.emplace_back(new detail::loop_engine{
                "loop_pool", options.name, implementation::handler_of(self->shared)}); // there is room
            const implementation::loop_ref& loop = self->loops.back();
            loop->report_slow_tasks(options.slow_task_threshold);
            loop->start_thread(implementation::initializer_of(self->shared, static_cast<unsigned>(i)));
        }
    } catch (...) {
        end_all();
        throw;
    }
    self_ = self.release();
}

loop_pool::~loop_pool() {
    if (blocks_itself()) {
        // From one of its own tasks: nobody can wait here. Each loop ends when its last task has.
        for (auto& loop : self_->loops) {
            loop->close();
            loop->defer();
        }
    } else {
        shutdown({});
    }
    delete self_;
}

std::size_t loop_pool::concurrency() const noexcept { return self_->loops.size(); }

bool loop_pool::blocks_itself() const noexcept {
    return std::any_of(self_->loops.begin(), self_->loops.end(),
                       [](const auto& l) { return l->is_current(); });
}

detail::worker& loop_pool::pick() {
    return *self_->loops[self_->turn.fetch_add(1, std::memory_order_relaxed) % self_->loops.size()];
}

void loop_pool::shutdown(const shutdown_options& options) {
    if (options.wait && blocks_itself())
        throw std::logic_error{
            "loop_pool::shutdown: a task of this pool cannot wait for the pool's end; pass "
            "{.wait = false}"};
    for (auto& loop : self_->loops) {
        loop->close();
        if (!options.cancel_pending && !options.kill) continue;
        loop->cancel_pending();
        loop->stop_roots();
    }
    if (!options.wait) return;
    for (auto& loop : self_->loops) loop->wait_idle();
    const std::lock_guard guard{self_->ending};
    for (auto& loop : self_->loops) loop->stop();
    for (auto& loop : self_->loops) loop->join();
}

} // namespace plait
