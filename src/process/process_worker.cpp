// SPDX-License-Identifier: Apache-2.0
#include "process/process_worker.hpp"

#include "process/crash_handler.hpp"
#include "process/helper_protocol.hpp"
#include "process/loop_worker.hpp"
#include "process/serial_worker.hpp"
#include "sys/memory.hpp"

#include <plait/detail/exception_codec.hpp>
#include <plait/detail/identity.hpp>
#include <plait/detail/process_call.hpp>
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/serial.hpp>

#include <cxxabi.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace plait::detail {
namespace {

in_process_executor* executor_of_worker = nullptr;

/// The place for the tasks that are plain functions, one after the other.
class function_task final : public work {
  public:
    explicit function_task(worker& at) noexcept
        : work{&note_place},
          at_{at},
          node_{new_task_node(nullptr, {}, 0)},
          visible_{node_.id.load(order::relaxed) != 0} {
        unstarted_ = posted_ = true;
        at_.post(*this); // which runs it here and now
        if (visible_) rest_task_node(node_);
    }
    ~function_task() { free_task_node(node_); }
    function_task(const function_task&) = delete;
    function_task& operator=(const function_task&) = delete;

    /// As if it had been posted: but nobody else has this thread, or this executor, while a function runs.
    void run(void (*body)(void*), void* what) noexcept {
        if (!scope_ || scope_->stopped()) scope_.emplace();
        context& scope = *scope_;
        scope.home = &at_;
        scope.node = &node_;
        scope.deadline = time_point::max();
        scope.attempt = 1;
        if (visible_) {
            wake_task_node(node_, {}, 0);
            node_.name.store(nullptr, order::relaxed);
        }
        execution& thread = current();
        execution before = thread;
        thread = here_;
        thread.scope = &scope;
        thread.outer = &before;
        body(what);
        thread = before;
        if (visible_) rest_task_node(node_);
    }

  private:
    static void note_place(work& w) noexcept { static_cast<function_task&>(w).here_ = current(); }

    worker& at_;
    task_node& node_;
    const bool visible_; // else the node is the one that everybody shares who has none
    execution here_{};   // this thread's state on the executor
    std::optional<context> scope_;
};

function_task* functions_of_worker = nullptr;

worker& home_of(serial& executor) {
    worker* home = nullptr;
    executor.post([&home] { home = task_scope()->home; }); // run before it returns
    return *home;
}

} // namespace

void run_function(void (*body)(void*), void* what) noexcept { functions_of_worker->run(body, what); }

in_process_executor& worker_executor() { return *executor_of_worker; }

worker_stamp stamp_of_task() noexcept {
    const worker_identity& identity = this_worker();
    return {static_cast<int>(identity.attempt), identity.name, identity.deadline};
}

void begin_worker_task(const worker_stamp& stamp) noexcept {
    context* scope = task_scope();
    if (scope == nullptr) return;
    scope->attempt = stamp.attempt;
    if (stamp.name != nullptr) scope->node->name.store(stamp.name, order::relaxed);
    // Only shown: it is the parent that ends what takes longer.
    if (stamp.deadline != 0) scope->deadline = time_point{nanoseconds{stamp.deadline}};
}

void throw_unreadable_argument(std::size_t number) {
    const std::string attempted =
        "process_pool: argument " + std::to_string(number) + " cannot be read in the worker: ";
    try {
        throw;
    } catch (const std::exception& e) {
        std::throw_with_nested(std::runtime_error{attempted + e.what()});
    } catch (...) {
        std::throw_with_nested(
            std::runtime_error{attempted + "its loader threw something that is no std::exception"});
    }
}

worker_identity& this_worker() noexcept {
    static worker_identity identity;
    return identity;
}

namespace {

constexpr int exit_without_parent = 0;

/// At the upper end, where a task that closes "its" 3 does not hit them, and where what it opens next does
/// not land. Not higher: the kernel's table grows with the number.
worker_descriptors numbers_for_ours() noexcept {
    constexpr rlim_t most = 1024;
    rlimit limit{most, most};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int end = static_cast<int>(std::min(limit.rlim_cur, most));
    return {end - 3, end - 2, end - 1};
}

worker_descriptors arrange_descriptors(worker_start& start) noexcept {
    const worker_descriptors ours = numbers_for_ours();
    if (start.output &&
        (::dup2(start.output.get(), STDOUT_FILENO) < 0 || ::dup2(start.output.get(), STDERR_FILENO) < 0))
        ::_exit(exit_without_parent);
    // What was received has the lowest numbers that were free.
    if (start.bell.get() >= ours.bell || start.lifeline.get() >= ours.bell || start.post.get() >= ours.bell ||
        ::dup3(start.bell.get(), ours.bell, O_CLOEXEC) < 0 ||
        ::dup3(start.lifeline.get(), ours.lifeline, O_CLOEXEC) < 0 ||
        ::dup3(start.post.get(), ours.post, O_CLOEXEC) < 0)
        ::_exit(exit_without_parent);
    (void)start.bell.release();
    (void)start.lifeline.release();
    (void)start.post.release();
    (void)start.memory.release();
    (void)start.output.release(); // closed with the rest
    ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(ours.bell) - 1, 0);
    ::close_range(static_cast<unsigned>(ours.post) + 1, ~0U, 0);
    return ours;
}

/// The kernel kills us when the parent dies, also in a busy loop, with signals blocked, without the helper,
/// and without a thread of our own: the other end of the lifeline closes with the parent, and that raises the
/// "I/O is possible" signal of this end, which is SIGKILL.
void tie_to_parent(int lifeline) noexcept {
    f_owner_ex owner{F_OWNER_PID, ::getpid()};
    if (::fcntl(lifeline, F_SETOWN_EX, &owner) != 0 || ::fcntl(lifeline, F_SETSIG, SIGKILL) != 0 ||
        ::fcntl(lifeline, F_SETFL, O_ASYNC | O_NONBLOCK) != 0)
        ::_exit(exit_without_parent);
    pollfd entry{lifeline, POLLIN, 0};
    if (::poll(&entry, 1, 0) != 0) ::_exit(exit_without_parent); // it has died before we were listening
}

} // namespace

void run_worker(worker_start start) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_NAME, "plait-worker");
    std::byte* memory = nullptr;
    try {
        shared_mapping mapping{start.memory, lane_size};
        memory = mapping.data();
        // For as long as the process lives; reachable, so that it is no leak where a task calls exit().
        static shared_mapping* const kept = new shared_mapping{std::move(mapping)};
        static_cast<void>(kept);
    } catch (...) {
        ::_exit(exit_without_parent);
    }
    const bool captured = static_cast<bool>(start.output);
    const worker_descriptors ours = arrange_descriptors(start);
    tie_to_parent(ours.lifeline);

    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);

    // A pipe is not written to before 4 KiB are there; of a task that crashes all whole lines are to be seen.
    if (captured) std::setvbuf(stdout, nullptr, _IOLBF, 0);

    if (lane_view{memory}.header().version == lane_version) {
        watch_for_crashes(lane_view{memory}.crash());
        this_worker().is_worker = true;
        this_worker().drives_loop = lane_view{memory}.header().at_once != 0;
        this_worker().number = lane_view{memory}.header().number;
        if (lane_view{memory}.header().at_once == 0) {
            serial executor;
            executor_of_worker = &executor;
            function_task functions{home_of(executor)};
            functions_of_worker = &functions;
            serial_worker{memory, ours, captured}.run();
        } else {
            event_loop loop{{.name = "plait-worker"}};
            executor_of_worker = &loop;
            loop_worker{memory, ours, loop}.run();
        }
    } // with it go the worker_locals
    leave_process(0);
}

} // namespace plait::detail
