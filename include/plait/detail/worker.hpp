// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/detail/work.hpp>

namespace plait::detail {

class context;
class fork_deque;
class job_core;
class locals;
struct task_node;
class timer;

/// Where an executor's failures go that nobody awaits. Counted: the future that is dropped unread may have
/// outlived the executor.
class [[gnu::visibility("default")]] failure_handler {
  public:
    failure_handler() = default;
    failure_handler(const failure_handler&) = delete;
    failure_handler& operator=(const failure_handler&) = delete;

    /// Never throws: the default handler writes one line to stderr.
    virtual void tell(const std::exception_ptr& error, const char* task_name) noexcept = 0;

    void add_owner() noexcept { owners_.fetch_add(1, order::relaxed); } // who adds one has one
    void release_owner() noexcept {
        // acq_rel: the last one sees what the others have told.
        if (owners_.fetch_sub(1, order::acq_rel) == 1) delete this;
    }

  protected:
    virtual ~failure_handler() = default;

  private:
    atomic<std::uint32_t> owners_{1};
};

/// Where tasks run: what every executor is underneath, seen from the coroutines above.
///
/// A loop is a worker of one thread; a pool is one worker, whichever of its threads does the work.
/// Threads:  `post`, `is_current`, `enter`, `leave` from any thread; the rest as each says.
class [[gnu::visibility("default")]] worker {
  public:
    worker() = default;
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    /// Runs `w` here, soon. Never refuses, also while shutting down: what was begun must be able to end.
    virtual void post(work& w) noexcept = 0;

    /// The same for what a task here has spawned. Never runs it before this returns, also where `post` does:
    /// the spawning task may have to go on for it to end.
    virtual void post_child(work& w) noexcept { post(w); }

    /// Is the calling thread one of those that run this worker's tasks?
    virtual bool is_current() const noexcept = 0;

    /// Is there a thread, or will be, that runs what is posted here? A `serial` has one only inside of
    /// submit.
    virtual bool driven() const noexcept { return true; }

    /// Does one thread do all of this worker's tasks, so that blocking on one of them can never end?
    virtual bool single_threaded() const noexcept { return false; }

    /// The calling thread, one of this worker's, is about to block, and is through with that; see
    /// blocking_region.
    virtual void begin_blocking() noexcept {}
    virtual void end_blocking() noexcept {}

    /// One of this worker's threads has forked something, and somebody sleeps who could run it.
    virtual void work_added() noexcept {}

    /// The loop that keeps this worker's timers and watches its descriptors; a loop is its own. The first
    /// call may have to start it: throws system_error if that cannot be.
    virtual worker& keeper() = 0;

    /// The clock that every deadline of this worker's tasks is read from.
    virtual time_point now() const noexcept;
    /// The same, a turn of the loop or a tick of the kernel old perhaps, for the price of a load or two.
    virtual time_point coarse_now() const noexcept;

    /// Timers; only of a loop, and only on its thread.
    virtual void add_timer(timer& t) noexcept;
    virtual void remove_timer(timer& t) noexcept;

    /// Counts a task in; throws shutdown_error once the executor takes no more.
    virtual void enter() = 0;
    /// Counts it out. The last one out wakes whoever waits in shutdown.
    virtual void leave() noexcept = 0;

    /// Is what has not begun to be refused rather than run, with `refusal()` as its result?
    virtual bool refusing() const noexcept = 0;
    virtual std::exception_ptr refusal() const noexcept = 0;

    /// For failures that nobody awaits.
    virtual failure_handler& failures() noexcept = 0;
    void unhandled(const std::exception_ptr& error, const char* task_name) noexcept {
        failures().tell(error, task_name);
    }

    /// A root coroutine that `shutdown({.cancel_pending = true})` has to stop; `forget` when it has ended.
    virtual void remember(job_core& root) noexcept = 0;
    virtual void forget(job_core& root) noexcept = 0;

  protected:
    ~worker() = default;
};

/// steady_clock as of the kernel's last tick: a few milliseconds old, and cheap.
[[gnu::visibility("default")]] time_point coarse_clock() noexcept;

/// What the calling thread is doing.
struct execution {
    detail::worker* worker = nullptr;    // whose tasks this thread runs
    detail::context* scope = nullptr;    // the task that runs now; null: see `light`
    std::coroutine_handle<> next = {};   // what the trampoline resumes next
    detail::context* light = nullptr;    // without a scope: that of a fork, not whole yet; see context
    unsigned budget = 0;                 // ready awaits left before this task gives way
    detail::locals* locals = nullptr;    // this worker's `worker_local`s
    unsigned slot = 0;                   // which thread of a pool this is
    std::uint32_t thread = 0;            // an executor's own: the kernel's number of it
    detail::fork_deque* forks = nullptr; // what this thread of a pool has forked
    bool blocking = false;               // in a blocking_region
    task_node* own_node = nullptr; // an entry in the registry that this thread keeps; in use if it has an id
    const execution* outer = nullptr; // what the thread did before it came to drive this worker

    /// Is this thread one of w's? Also while a task of w drives another worker, a `serial` say.
    bool runs(const detail::worker& w) const noexcept {
        for (const execution* e = this; e; e = e->outer)
            if (e->worker == &w) return true;
        return false;
    }
};

#if defined(__clang__) && __clang_major__ < 16
#error "plait: clang before 16 keeps thread-local addresses across co_await (LLVM 47179): take a newer one"
#endif

/// initial-exec: two instructions in place of a call; so small a variable may be, in a shared library that is
/// loaded late, too.
extern constinit thread_local execution this_execution
    [[gnu::visibility("default"), gnu::tls_model("initial-exec")]];

/// The calling thread's. Anew after each suspension: the coroutine may be on another thread then.
inline execution& current() noexcept { return this_execution; }

/// Resumes `h`, and then whatever it leaves in `current().next`, until nothing is left.
///
/// A trampoline instead of symmetric transfer: GCC 12 makes the latter a jump at -O2 only, and never under a
/// sanitizer, so that a loop of awaits of ready tasks would overflow the stack there (GCC bug 100897).
[[gnu::visibility("default")]] void drive(std::coroutine_handle<> h) noexcept;

/// `drive` as `scope`, with a fresh budget of ready awaits; restores what the thread did before.
[[gnu::visibility("default")]] void resume(std::coroutine_handle<> h, context& scope) noexcept;

/// The same as a light one, on a thread that runs no task.
[[gnu::visibility("default")]] void run_light(std::coroutine_handle<> h, context& scope) noexcept;

/// Ready awaits that a task may make in a row before it lets others run (conformance C28).
inline constexpr unsigned ready_budget = 128;

/// One await that need not suspend: false when the task has used up its budget and has to give way.
inline bool spend_budget() noexcept {
    execution& e = current();
    return e.budget != 0 && e.budget-- != 0;
}

} // namespace plait::detail
