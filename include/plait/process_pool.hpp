// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/process_job.hpp>
#include <plait/detail/process_map.hpp>
#include <plait/errors.hpp>
#include <plait/executor.hpp>
#include <plait/program.hpp>
#include <plait/remote_error.hpp>

namespace plait {

/// What each worker runs before its first task: a function or a lambda without captures, with arguments if
/// need be.
///
///     plait::process_pool plain{{.workers = 4, .initializer = open_database}};
///     plait::process_pool other{{.initializer = {open_database_in, std::string{"/data"}}}};
class process_initializer {
  public:
    process_initializer() noexcept = default;
    template <class F, class... Args>
        requires(!std::is_same_v<std::remove_cvref_t<F>, process_initializer> &&
                 std::invocable<std::decay_t<F>, std::decay_t<Args>...>)
    process_initializer(F&& f, Args&&... args) {
        using result = detail::submit_result_t<F, Args...>;
        static_assert(std::is_void_v<result>, "plait: an initializer returns void");
        if constexpr (detail::check_call<std::decay_t<F>, void, std::decay_t<Args>...>()) {
            using call = detail::process_call<std::decay_t<F>, std::decay_t<Args>...>;
            function_ = call::where();
            detail::buffer_writer out{arguments_};
            out.descriptors = &descriptors_;
            call::write_function(out);
            call::write(out, f, args...);
            out.finish();
            given_ = true;
        }
    }

  private:
    friend class process_pool;
    detail::code_place function_ = detail::elsewhere;
    detail::byte_buffer arguments_;
    detail::descriptor_list descriptors_;
    bool given_ = false;
};

/// A variable of the workers' environment: set, or without a value removed.
///
///     plait::process_pool pool{{.environment = {{"OMP_NUM_THREADS", "1"}, {"http_proxy", {}}}}};
struct environment_variable {
    std::string name;
    std::optional<std::string> value;
};

/// What a pool's tasks shall not do: a guard against accidents in code that means well, not against an enemy.
///
///     plait::process_pool pool{{.initializer = open_database,
///                               .isolate = {.no_network = true, .read_only_files = true}}};
///
/// It holds from the end of the initializer on, which so can still open what the tasks need, for the worker
/// and all that it starts, and cannot be taken back. Made by seccomp filters, which take no rights; programs
/// that are started get none by their set-user-id bit any more.
struct worker_isolation {
    /// Sockets other than Unix ones cannot be made (EACCES), nor io_uring rings.
    bool no_network = false;
    /// Nothing is created, opened for writing, removed, renamed or given other rights: "read-only file
    /// system" (EROFS), for devices and `/dev/shm` too. What is open already stays as it is: stdout, stderr,
    /// and what the initializer has opened.
    bool read_only_files = false;
};

/// What becomes of a pool's worker processes; see `process_pool_options::on_worker_event`.
///
///     plait::process_pool pool{{.on_worker_event = [](const plait::worker_event& e) {
///         if (e.what == plait::worker_event::kind::lost) std::cerr << e.text << '\n';
///     }}};
///
/// Of each worker comes `started`, then (if its initializer ends well) `ready`, and at last `lost` or
/// `retired`; the successor of a worker that is gone, or about to go, comes with `replacement`.
///
/// Threads:  called on the pool's own thread, one event after the other, with no lock held. It holds up all
///           other news of the pool, so it should be short. `submit`, `status` and `cancel` may be called;
///           waiting there for a task of the same pool, or for its shutdown, would wait for ever.
/// Errors:   what it throws goes to `on_unhandled`.
struct worker_event {
    enum class kind : unsigned char {
        started, ///< its process exists
        ready,   ///< past its initializer: it takes tasks
        lost,    ///< it died, or was killed; `text` says how
        retired, ///< it left as it was told to: `.max_tasks_per_worker`, or shutdown
    };
    kind what;
    unsigned worker; ///< its number; a replacement inherits it
    int pid;
    bool replacement = false; ///< of `started`
    std::uint64_t task = 0;   ///< of `lost`: the number of the task that it held; 0: none
    std::string text = {};    ///< of `lost`: what worker_lost says
};

using worker_event_handler = detail::function<void(const worker_event&)>;

struct process_pool_options {
    /// Worker processes; at least 1. Default: the processors that this process may use.
    int workers = default_workers;
    /// Runs once on each worker before its first task, replacements included. If workers keep failing in it,
    /// the pool is broken: every task ends with pool_broken and the cause.
    process_initializer initializer = {};
    /// A worker that has run so many tasks is replaced by a fresh one; at least 1.
    std::uint64_t max_tasks_per_worker = unlimited;
    /// For tasks that do not say otherwise in submit_options.
    int retries = 0;
    detail::nanoseconds task_timeout = detail::nanoseconds::max();
    /// For the initializer.
    detail::nanoseconds start_timeout = std::chrono::seconds{30};
    /// Each worker runs an event loop, and drives up to `loop_tasks` (at most 1024) coroutines at once: for
    /// tasks that wait, many to a process. A plain function holds up its neighbours while it runs. A task
    /// that is cancelled or late is stopped as on an event_loop, and only if it does not end within a second
    /// its worker is killed (unless it was only asked to); like a crash that costs all tasks of the worker,
    /// each of which is retried or lost by itself.
    bool loop = false;
    int loop_tasks = 512;
    /// What tasks print is kept for `output_of(future)` (process_output.hpp) and worker_lost, rather than
    /// printed where this program prints. Costs a task two wake-ups, since the pool has to take its output
    /// before the next one prints.
    bool capture_output = false;
    /// Bytes of memory of a worker's own, at least 16 MiB: a task that asks for more gets std::bad_alloc.
    /// What slips by that (shared memory) is looked at four times a second, and then costs the worker:
    /// worker_lost says so.
    std::uint64_t memory_limit = unlimited;
    /// Variables that are set or removed in the workers, before their initializer.
    std::vector<environment_variable> environment = {};
    /// Added to the workers' niceness, -20 to 19: 19 takes what the processor has left over.
    int nice = 0;
    worker_isolation isolate = {};
    worker_event_handler on_worker_event = {};
    unhandled_handler on_unhandled = {};

    static constexpr int default_workers = -0x7fffffff - 1;
    static constexpr std::uint64_t unlimited = ~std::uint64_t{0};
};

/// Runs tasks in processes of their own: own memory, real parallelism, and a crash costs one task.
///
///     int main(int argc, char** argv) {
///         plait::program program{argc, argv};           // first in main: lets this binary host workers
///         plait::process_pool pool{{.workers = 4}};
///         for (const auto& small : pool.map(thumbnail, files)) save(small);
///     }
///
/// Function, arguments and result must be `sendable`: what is not does not compile, and the message names the
/// argument and the remedy. Arguments are encoded in `submit`, so their serialisers' exceptions come out
/// there.
///
/// A worker that dies, of any signal at any moment, costs exactly the task that it held: its future throws
/// worker_lost (unless `.retries` are left), and the worker is replaced. No other task is lost, repeated or
/// reordered. If the parent dies, the kernel kills the workers.
///
/// Threads:       every member from any thread; not in a child that this process forks by itself.
/// Order:         tasks begin in the order of submission, high before normal before low priority; of 16 in a
///                row one is of the lowest priority that waits, so that none starves.
/// Cancellation:  a queued task never runs; `cancel(cancel_mode::kill)` kills the worker of a running one;
///                without `kill` a running task goes on, but for `.loop`, where it is asked to stop.
///                Tests P13, ACancelledTaskIsStoppedAndItsNeighboursGoOn.
/// Errors:        exceptions come back as themselves or as remote_error. A program without plait::program:
///                logic_error. Workers that cannot be started: system_error from the constructor.
/// Cost:          an idle pool sleeps in the kernel. A busy worker makes no system call between tasks. A thread that
///                waits in `get` is woken by the worker itself, and completes other tasks' futures meanwhile;
///                so does one in `submit`, where more is queued than the workers take. Both may call
///                `on_unhandled`, so it should not wait for what their callers hold.
class [[gnu::visibility("default")]] process_pool final {
  public:
    explicit process_pool(process_pool_options options = {});
    process_pool(const process_pool&) = delete;
    process_pool& operator=(const process_pool&) = delete;
    /// As shutdown().
    ~process_pool();

    /// Runs `fn(args...)` in a worker; if that is a task<R>, drives it to its end there.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] auto submit(F&& fn, Args&&... args) {
        return submit(submit_options{.created = {}}, std::forward<F>(fn), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    [[nodiscard]] auto submit(const submit_options& options, F&& fn, Args&&... args) {
        using result = std::remove_cvref_t<detail::submit_result_t<F, Args...>>;
        if constexpr (detail::check_call<std::decay_t<F>, detail::submit_result_t<F, Args...>,
                                         std::decay_t<Args>...>()) {
            auto started = start<result, detail::process_call<std::decay_t<F>, std::decay_t<Args>...>>(
                options, fn, args...);
            (detail::give_up<Args>(args), ...);
            return started;
        } else {
            return future<result>{};
        }
    }

    /// As in map.hpp: results in order, as they finish, and every outcome in its place. Each item is a task
    /// of its own, so a crash costs one item; with `.chunk` so many items are one task, and are lost
    /// together.
    template <class F, class... Ranges>
    auto map(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::ordered>(*this, std::move(fn),
                                                           std::forward<Ranges>(ranges)...);
    }
    template <class F, class... Ranges>
    auto map_unordered(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::unordered>(*this, std::move(fn),
                                                             std::forward<Ranges>(ranges)...);
    }
    template <class F, class... Ranges>
    auto map_outcomes(F fn, Ranges&&... ranges) {
        return detail::make_map<detail::map_kind::outcomes>(*this, std::move(fn),
                                                            std::forward<Ranges>(ranges)...);
    }

    /// The number of workers.
    std::size_t concurrency() const noexcept { return workers_; }

    /// Runs what is queued and ends the workers; see shutdown_options. `.kill` ends them at once: running
    /// tasks get worker_lost, queued ones shutdown_error.
    void shutdown(const shutdown_options& options = {});

    /// What the workers are doing, read from their lanes: nobody is disturbed.
    struct worker_status {
        int pid = 0;             ///< 0: being started
        std::uint64_t tasks = 0; ///< that it has finished
        std::uint64_t task = 0;  ///< number of the task that it runs (for longest, on a loop); 0: none
        bool ready = false;      ///< past its initializer
    };
    std::vector<worker_status> status() const;

  private:
    friend class detail::engine_of_map;
    template <class R, class F, class... Args>
    friend future<detail::chunk_result<R>> submit_chunk(process_pool& pool, F& fn,
                                                        std::vector<std::tuple<Args...>>&& items);

    /// Call says how the function and its arguments are written.
    template <class R, class Call, class... Parts>
    future<R> start(const submit_options& options, const Parts&... parts) {
        auto* job = new detail::process_job<R>{*engine_, options, retries_, task_timeout_};
        try {
            job->function = Call::where();
            detail::buffer_writer out{job->arguments};
            out.descriptors = &job->descriptors;
            job->describe(out);
            Call::write_function(out);
            Call::write(out, parts...);
            out.finish();
            detail::submit_to(*engine_, *job);
        } catch (...) {
            job->discard();
            throw;
        }
        return detail::future_access::make<R>(*job);
    }

    detail::process_engine* engine_;
    std::size_t workers_;
    int retries_;
    detail::nanoseconds task_timeout_;
};

/// How a map's chunk goes to a process pool (see detail/map.hpp).
template <class R, class F, class... Args>
future<detail::chunk_result<R>> submit_chunk(process_pool& pool, F& fn,
                                             std::vector<std::tuple<Args...>>&& items) {
    if constexpr (detail::check_call<F, R, Args...>())
        return pool.start<detail::chunk_result<R>, detail::process_chunk<R, F, Args...>>(
            submit_options{.created = {}}, std::as_const(fn), std::as_const(items));
    else
        return {};
}

/// The number of the worker process that this code runs in, 0 .. workers - 1 (a replacement inherits it); -1
/// elsewhere.
[[gnu::visibility("default")]] int process_worker_number() noexcept;

} // namespace plait
