// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/process_job.hpp>
#include <plait/errors.hpp>
#include <plait/program.hpp>
#include <plait/remote_error.hpp>
#include <plait/task.hpp>
#include <string>

namespace plait {

struct process_options {
    /// For messages and dump_tasks(). Copied.
    std::string name = {};
    /// Until it runs.
    detail::nanoseconds start_timeout = std::chrono::seconds{30};
    /// What a process threw that nobody joined goes here.
    unhandled_handler on_unhandled = {};
};

/// One long-lived process of this program that runs a function: what `multiprocessing.Process` is in Python.
///
///     auto [here, there] = plait::pipe<request, reply>::pair();
///     plait::process server{answer_all, std::move(there)}; // void answer_all(plait::pipe<reply, request>)
///     here.send_blocking(request{"resize", 7});
///     use(here.receive_blocking());
///     here.close(); // it sees the end, and returns
///     server.join();
///
/// Function and arguments must be `sendable`, as with process_pool: pipes, channels and shared arrays are.
/// The function returns nothing; give it a pipe for what it has to say. A coroutine (`task<void>`) is driven
/// to its end there.
///
/// The destructor ends it: SIGTERM, and if it is still there after 5 s, SIGKILL; then it is joined. So no
/// process outlives its object, and none the program: if that dies, of SIGKILL too, the kernel kills them.
///
/// Threads:       `pid`, `name`, `terminate`, `kill` from any thread; the rest from one at a time.
/// Cancellation:  of `joined`: nothing changes, it may be awaited again (process_test, ACancelledJoin...).
/// Errors:        `join` throws what the function threw: standard exceptions and plait's own as themselves,
///                others as remote_error; worker_lost if it died of something else than terminate() and
///                kill(). Without plait::program: logic_error from the constructor; a serialiser's exceptions
///                come from there too.
/// Cost:          two processes (the one that forks it, and it itself), some 2 ms, and a thread here.
class [[gnu::visibility("default")]] process {
  public:
    /// Holds none.
    process() noexcept = default;
    template <class F, class... Args>
        requires(!std::is_same_v<std::decay_t<F>, process> &&
                 !std::is_same_v<std::decay_t<F>, process_options> &&
                 std::invocable<std::decay_t<F>, std::decay_t<Args>...>)
    explicit process(F&& fn, Args&&... args)
        : process{process_options{}, std::forward<F>(fn), std::forward<Args>(args)...} {}
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    process(process_options options, F&& fn, Args&&... args) {
        using result = std::remove_cvref_t<detail::submit_result_t<F, Args...>>;
        static_assert(
            std::is_void_v<result>,
            "plait: a process's function returns nothing; give it a pipe for what it has to say, or use "
            "process_pool::submit, which gives its result");
        if constexpr (detail::check_call<std::decay_t<F>, void, std::decay_t<Args>...>()) {
            using call = detail::process_call<std::decay_t<F>, std::decay_t<Args>...>;
            prepared p;
            p.function = call::where();
            detail::buffer_writer out{p.arguments};
            out.descriptors = &p.descriptors;
            call::write_function(out);
            call::write(out, fn, args...);
            out.finish();
            start(std::move(options), std::move(p));
            (detail::give_up<Args>(args), ...);
        }
    }
    process(process&& other) noexcept : self_{std::exchange(other.self_, nullptr)} {}
    process& operator=(process&& other) noexcept {
        process taken{std::move(other)};
        std::swap(self_, taken.self_);
        return *this;
    }
    /// Terminates it, as above, and reports what it threw and nobody has seen.
    ~process();

    /// Waits for its end. Throws as said above, each time.
    void join();
    /// For at most `d`; true: it has ended.
    template <class Rep, class Period>
    bool join_for(std::chrono::duration<Rep, Period> d) {
        return join_within(detail::saturated(d));
    }
    /// The same for coroutines.
    [[nodiscard]] task<void> joined();

    /// Has it been started, and not ended?
    bool running() const;
    /// Does this object hold a process, ended or not?
    bool joinable() const noexcept { return self_ != nullptr; }

    /// SIGTERM, which the function may handle; by default it ends the process.
    void terminate() noexcept;
    /// SIGKILL.
    void kill() noexcept;

    /// Empty while it runs. 0: the function returned; 1: it threw; n: the process ended itself by exit(n);
    /// -n: it was ended by signal n.
    std::optional<int> exit_code();
    /// Of the process, also after its end.
    int pid() const noexcept;
    const std::string& name() const;

  private:
    struct implementation;
    struct prepared {
        detail::code_place function = detail::elsewhere;
        detail::byte_buffer arguments;
        detail::descriptor_list descriptors;
    };
    void start(process_options options, prepared p);
    bool join_within(detail::nanoseconds d);
    implementation& self() const;
    implementation* self_ = nullptr;
};

} // namespace plait
