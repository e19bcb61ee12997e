// SPDX-License-Identifier: Apache-2.0
#include <plait/process_pool.hpp>
#include <plait/processors.hpp>

#include "process/process_engine.hpp"

#include <stdexcept>
#include <string>

namespace plait {
namespace {

std::size_t checked_workers(int asked) {
    if (asked == process_pool_options::default_workers) return available_processors();
    if (asked < 1)
        throw std::invalid_argument{"process_pool: .workers is " + std::to_string(asked) +
                                    "; it must be at least 1"};
    return static_cast<std::size_t>(asked);
}

} // namespace

process_pool::process_pool(process_pool_options options)
    : engine_{nullptr},
      workers_{checked_workers(options.workers)},
      retries_{options.retries},
      task_timeout_{options.task_timeout} {
    if (options.max_tasks_per_worker == 0)
        throw std::invalid_argument{"process_pool: .max_tasks_per_worker is 0; it must be at least 1"};
    if (options.retries < 0) throw std::invalid_argument{"process_pool: .retries must not be negative"};
    detail::process_engine_options o;
    o.workers = workers_;
    o.max_tasks_per_worker =
        options.max_tasks_per_worker == process_pool_options::unlimited ? 0 : options.max_tasks_per_worker;
    if (options.start_timeout != detail::nanoseconds::max()) o.start_timeout = options.start_timeout.count();
    o.capture_output = options.capture_output;
    if (options.loop_tasks < 1 || options.loop_tasks > static_cast<int>(detail::slots_per_loop_lane))
        throw std::invalid_argument{"process_pool: .loop_tasks is " + std::to_string(options.loop_tasks) +
                                    "; it must be from 1 to " + std::to_string(detail::slots_per_loop_lane)};
    if (options.loop && options.capture_output)
        throw std::invalid_argument{"process_pool: .capture_output cannot be had together with .loop: what "
                                    "tasks that run at the same "
                                    "time print is not to be told apart"};
    if (options.loop) o.at_once = static_cast<std::uint32_t>(options.loop_tasks);
    if (options.memory_limit != process_pool_options::unlimited) {
        o.settings.memory_limit = options.memory_limit;
        if (options.memory_limit == 0)
            throw std::invalid_argument{"process_pool: .memory_limit is 0; leave it out for no limit"};
    }
    o.settings.nice = options.nice;
    o.settings.isolate = options.isolate;
    o.settings.environment = std::move(options.environment);
    detail::check_worker_settings(o.settings);
    o.on_worker_event = std::move(options.on_worker_event);
    o.has_initializer = options.initializer.given_;
    o.initializer = options.initializer.function_;
    o.initializer_arguments = std::move(options.initializer.arguments_);
    o.initializer_descriptors = std::move(options.initializer.descriptors_);
    o.on_unhandled = std::move(options.on_unhandled);
    engine_ = detail::make_process_engine(std::move(o));
}

process_pool::~process_pool() { detail::destroy_process_engine(engine_); }

void process_pool::shutdown(const shutdown_options& options) {
    detail::shut_down(*engine_, options.wait, options.cancel_pending, options.kill);
}

std::vector<process_pool::worker_status> process_pool::status() const {
    std::vector<detail::process_worker_status> raw(workers_);
    raw.resize(detail::copy_status(*engine_, raw.data(), raw.size()));
    std::vector<worker_status> workers;
    workers.reserve(raw.size());
    for (const detail::process_worker_status& w : raw) workers.push_back({w.pid, w.tasks, w.task, w.ready});
    return workers;
}

int process_worker_number() noexcept {
    const detail::worker_identity& identity = detail::this_worker();
    return identity.is_worker ? static_cast<int>(identity.number) : -1;
}

} // namespace plait
