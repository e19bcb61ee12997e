// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/executor.hpp>
#include <plait/process_pool.hpp>
#include <string_view>

namespace plait {

struct any_executor_options {
    /// Threads, loops or processes; `serial` and `loop` have one whatever it says. Default: as the executor's
    /// own.
    int workers = process_pool_options::default_workers;
    unhandled_handler on_unhandled = {};
};

/// An executor that is chosen at run time.
///
///     auto ex = plait::any_executor::make("threads", {.workers = 8});
///     for (std::size_t bytes : ex.map(download, urls)) total += bytes;
///
/// Names: serial, threads, loop, loops, processes. As it may hold processes, functions, arguments and results
/// must be `sendable` whatever it holds: what runs today on threads will run tomorrow on processes. (`map`'s
/// function and `submit`'s are copied, so a lambda must not capture; pass values as arguments.)
///
/// Threads:  every member from any thread.
/// Errors:   an unknown name throws invalid_argument, which lists the known ones.
class [[gnu::visibility("default")]] any_executor final {
  public:
    static any_executor make(std::string_view name, any_executor_options options = {});

    any_executor(const any_executor&) = delete;
    any_executor& operator=(const any_executor&) = delete;
    ~any_executor();

    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] auto submit(F&& fn, Args&&... args) {
        return submit(submit_options{.created = {}}, std::forward<F>(fn), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] auto submit(const submit_options& options, F&& fn, Args&&... args) {
        using direct = detail::submit_result_t<F, Args...>;
        using result = std::remove_cvref_t<direct>;
        if constexpr (!detail::check_call<std::decay_t<F>, direct, std::decay_t<Args>...>()) {
            return future<result>{};
        } else {
            if (processes_ != nullptr)
                return future<result>{
                    processes_->submit(options, std::forward<F>(fn), std::forward<Args>(args)...)};
            return future<result>{
                in_process_->submit(options, std::forward<F>(fn), std::forward<Args>(args)...)};
        }
    }

    /// As in map.hpp.
    template <class F, class... Ranges>
    [[nodiscard]] auto map(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::ordered>(*this, std::move(fn),
                                                           std::forward<Ranges>(ranges)...);
    }
    template <class F, class... Ranges>
    [[nodiscard]] auto map_unordered(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::unordered>(*this, std::move(fn),
                                                             std::forward<Ranges>(ranges)...);
    }
    template <class F, class... Ranges>
    [[nodiscard]] auto map_outcomes(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::outcomes>(*this, std::move(fn),
                                                            std::forward<Ranges>(ranges)...);
    }

    std::size_t concurrency() const noexcept;
    void shutdown(const shutdown_options& options = {});

    /// The name that it was made by.
    std::string_view name() const noexcept;

    bool blocks_itself() const noexcept { return in_process_ != nullptr && in_process_->blocks_itself(); }

  private:
    struct holder;
    template <class Executor>
    struct held;
    explicit any_executor(holder* h) noexcept;

    template <class R, class F, class... Args>
    friend future<detail::chunk_result<R>> submit_chunk(any_executor& ex, F& fn,
                                                        std::vector<std::tuple<Args...>>&& items);

    holder* holder_;
    in_process_executor* in_process_; // one of these two is set
    process_pool* processes_;
};

template <class R, class F, class... Args>
future<detail::chunk_result<R>> submit_chunk(any_executor& ex, F& fn,
                                             std::vector<std::tuple<Args...>>&& items) {
    if constexpr (!detail::check_call<F, R, Args...>()) {
        return {};
    } else {
        if (ex.processes_ != nullptr) return submit_chunk<R>(*ex.processes_, fn, std::move(items));
        return detail::submit_chunk<R>(*ex.in_process_, fn, std::move(items));
    }
}

} // namespace plait
