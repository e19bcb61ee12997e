// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/executor.hpp>
#include <plait/task.hpp>

namespace plait {

/// How an event_loop is set up.
struct event_loop_options {
    /// Seen in `ps`, gdb and traces. Not copied; the kernel shows 15 characters.
    const char* name = "plait-loop";
    /// A task that holds the loop for longer is reported on stderr, once per place, with the thread's stack;
    /// 0: never. The stack is taken by a real-time signal, which ends a nanosleep or poll in the task early.
    detail::nanoseconds slow_task_threshold = std::chrono::milliseconds{100};
    unhandled_handler on_unhandled = {};
};

struct run_options {
    /// The first SIGINT (Ctrl-C) cancels the main task, its clean-up runs, and `run` throws `interrupted`;
    /// the second one ends the program. Not off the main thread, nor where the program has a handler of its
    /// own.
    bool interrupt = false;
};

/// Runs coroutines and functions on one thread, cooperatively: a task that waits lets the others run.
///
///     plait::event_loop loop;
///     auto pages = loop.run(download_all(urls));
///
/// It owns a thread, which the first `submit`, `post` or `map` starts. `run` before that drives the loop in
/// the calling thread.
///
/// Threads:  every member from any thread, but for destruction.
/// Errors:   `run` within a running loop, or while another thread is in it, throws logic_error; a blocking
///           `get()` on this loop's own future too.
/// Cost:     resuming a task is some nanoseconds; a post from another thread one atomic operation, and one
///           eventfd write per sleep of the loop.
class [[gnu::visibility("default")]] event_loop final : public in_process_executor {
  public:
    explicit event_loop(event_loop_options options = {});
    ~event_loop();

    /// Drives `t` to its end and returns its value or throws its exception: asyncio.run. Tasks that are left
    /// then are cancelled and waited for. The loop can be used again.
    template <class T>
    T run(task<T> t, run_options options = {}) {
        begin_run();
        auto main_task = make_main(std::move(t));
        auto result = detail::future_access::make<T>(*main_task);
        finish_run(*main_task, *main_task, options);
        return result.get();
    }

    /// One.
    std::size_t concurrency() const noexcept override { return 1; }
    void shutdown(const shutdown_options& options = {});
    bool blocks_itself() const noexcept override;
    detail::worker& admit() override;

  private:
    detail::worker& pick() override;
    void begin_run();
    bool end_run();
    void finish_run(detail::state_base& main_task, detail::work& queued, run_options options);

    template <class T>
    auto* make_main(task<T> t) {
        auto give = [t = std::move(t)]() mutable { return std::move(t); };
        try {
            return new detail::job<decltype(give)>{engine(), submit_options{.name = "main"}, std::move(give)};
        } catch (...) {
            engine().leave(); // begin_run() has let it in
            throw;
        }
    }
    detail::worker& engine() noexcept;

    struct implementation;
    implementation* self_;
};

/// Runs `t` to its end on a loop of its own, in the calling thread: `main` in one line.
///
///     int main() { return plait::run(serve(8080), {.interrupt = true}); }
template <class T>
T run(task<T> t, run_options options = {}) {
    event_loop loop{{.name = "plait-run"}};
    return loop.run(std::move(t), options);
}

} // namespace plait
