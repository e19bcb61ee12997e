// SPDX-License-Identifier: Apache-2.0
#include <plait/any_executor.hpp>

#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace plait {

struct any_executor::holder {
    explicit holder(std::string_view n) : name{n} {}
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    virtual ~holder() = default;
    virtual in_process_executor* in_process() noexcept = 0;
    virtual process_pool* processes() noexcept = 0;
    virtual std::size_t concurrency() const noexcept = 0;
    virtual void shutdown(const shutdown_options& options) = 0;

    std::string_view name; // a literal
};

template <class Executor>
struct any_executor::held final : any_executor::holder {
    template <class Options>
    held(std::string_view n, Options&& options) : holder{n}, executor{std::forward<Options>(options)} {}

    in_process_executor* in_process() noexcept override {
        if constexpr (std::is_base_of_v<in_process_executor, Executor>)
            return &executor;
        else
            return nullptr;
    }
    process_pool* processes() noexcept override {
        if constexpr (std::is_same_v<Executor, process_pool>)
            return &executor;
        else
            return nullptr;
    }
    std::size_t concurrency() const noexcept override { return executor.concurrency(); }
    void shutdown(const shutdown_options& options) override { executor.shutdown(options); }

    Executor executor;
};

any_executor::any_executor(holder* h) noexcept
    : holder_{h}, in_process_{h->in_process()}, processes_{h->processes()} {}

any_executor::~any_executor() { delete holder_; }

any_executor any_executor::make(std::string_view name, any_executor_options options) {
    if (name == "serial") {
        serial_options o;
        o.on_unhandled = std::move(options.on_unhandled);
        return any_executor{new held<serial>{"serial", std::move(o)}};
    }
    if (name == "threads") {
        thread_pool_options o;
        o.workers = options.workers;
        o.on_unhandled = std::move(options.on_unhandled);
        return any_executor{new held<thread_pool>{"threads", std::move(o)}};
    }
    if (name == "loop") {
        event_loop_options o;
        o.on_unhandled = std::move(options.on_unhandled);
        return any_executor{new held<event_loop>{"loop", std::move(o)}};
    }
    if (name == "loops") {
        loop_pool_options o;
        if (options.workers != any_executor_options{}.workers) o.workers = options.workers;
        o.on_unhandled = std::move(options.on_unhandled);
        return any_executor{new held<loop_pool>{"loops", std::move(o)}};
    }
    if (name == "processes") {
        process_pool_options o;
        if (options.workers != any_executor_options{}.workers) o.workers = options.workers;
        o.on_unhandled = std::move(options.on_unhandled);
        return any_executor{new held<process_pool>{"processes", std::move(o)}};
    }
    throw std::invalid_argument{"any_executor: there is no executor '" + std::string{name} +
                                "'; known are serial, threads, loop, loops, processes"};
}

std::size_t any_executor::concurrency() const noexcept { return holder_->concurrency(); }

void any_executor::shutdown(const shutdown_options& options) { holder_->shutdown(options); }

std::string_view any_executor::name() const noexcept { return holder_->name; }

} // namespace plait
