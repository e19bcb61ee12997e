// SPDX-License-Identifier: Apache-2.0
#include "process/process_worker.hpp"

#include "process/crash_handler.hpp"
#include "process/exception_types.hpp"
#include "process/helper_protocol.hpp"
#include "process/slot_stream.hpp"
#include "process/worker_settings.hpp"
#include "sys/futex.hpp"
#include "sys/memory.hpp"

#include <plait/detail/exception_codec.hpp>
#include <plait/detail/identity.hpp>
#include <plait/detail/process_call.hpp>
#include <plait/detail/process_entry.hpp>
#include <plait/errors.hpp>

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
#include <stdexcept>
#include <string>

namespace plait::detail {
namespace {

serial* executor_of_worker = nullptr;

} // namespace

serial& worker_executor() { return *executor_of_worker; }

void begin_worker_task() noexcept {
    context* scope = current().scope;
    if (scope == nullptr) return;
    const worker_identity& identity = this_worker();
    scope->attempt = static_cast<int>(identity.attempt);
    if (identity.name != nullptr) scope->node->name.store(identity.name, order::relaxed);
    // Only shown: it is the parent that ends what takes longer.
    if (identity.deadline != 0) scope->deadline = time_point{nanoseconds{identity.deadline}};
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

/// The worker's descriptors besides 0, 1, 2; the same in each.
struct worker_descriptors {
    int bell;
    int lifeline;
};

/// At the upper end, where a task that closes "its" 3 does not hit them, and where what it opens next does
/// not land. Not higher: the kernel's table grows with the number.
worker_descriptors numbers_for_ours() noexcept {
    constexpr rlim_t most = 1024;
    rlimit limit{most, most};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int end = static_cast<int>(std::min(limit.rlim_cur, most));
    return {end - 2, end - 1};
}

worker_descriptors arrange_descriptors(worker_start& start) noexcept {
    const worker_descriptors ours = numbers_for_ours();
    if (start.output &&
        (::dup2(start.output.get(), STDOUT_FILENO) < 0 || ::dup2(start.output.get(), STDERR_FILENO) < 0))
        ::_exit(exit_without_parent);
    // What was received has the lowest numbers that were free.
    if (start.bell.get() >= ours.bell || start.lifeline.get() >= ours.bell ||
        ::dup3(start.bell.get(), ours.bell, O_CLOEXEC) < 0 ||
        ::dup3(start.lifeline.get(), ours.lifeline, O_CLOEXEC) < 0)
        ::_exit(exit_without_parent);
    (void)start.bell.release();
    (void)start.lifeline.release();
    (void)start.memory.release();
    (void)start.output.release(); // closed with the rest
    ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(ours.bell) - 1, 0);
    ::close_range(static_cast<unsigned>(ours.lifeline) + 1, ~0U, 0);
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

class process_worker {
  public:
    process_worker(std::byte* memory, worker_descriptors ours, bool captured) noexcept
        : lane_{memory}, port_{lane_, ours.bell}, lifeline_{ours.lifeline}, captured_{captured} {}

    void run() noexcept {
        this_worker().is_worker = true;
        this_worker().number = lane_.header().number;
        for (std::uint64_t index = 0;; ++index) {
            if (!await_task(index)) return;
            lane_slot& slot = lane_.slot(index);
            const std::uint32_t generation = lane_view::generation(index);
            // Large arguments need the bell. Where the task before has closed it, that is not to cost this
            // one.
            if ((slot.flags & arguments_streamed) != 0 && !port_.can_ring()) ::_exit(exit_without_bell);
            // The claim comes before anything is read: from here on our death costs this task.
            if (slot.state.claim(generation)) {
                const std::int64_t started = monotonic_now();
                slot.started.store(started, order::release);
                // A parent that misses it keeps its copy until it looks for another reason; so the claim's
                // order is enough.
                if (slot.size >= large_arguments) port_.ring();
                perform(slot);
                if (captured_) hand_over_output(index);
                slot.elapsed =
                    static_cast<std::uint32_t>(std::min<std::int64_t>(monotonic_now() - started, ~0U));
                slot.state.finish(generation);
            }
            // seq_cst: before the bell, so that the parent finds the slot free to be filled again.
            lane_.header().head.store(index + 1, order::seq_cst);
            respect_hold();
            port_.ring();
        }
    }

  private:
    /// False: told to leave, and nothing is queued.
    bool await_task(std::uint64_t index) noexcept {
        const lane_slot& slot = lane_.slot(index);
        const std::uint32_t generation = lane_view::generation(index);
        slot_phase phase = slot_phase::free;
        bool stop = false;
        port_.wait([&] {
            stop = lane_.header().stop.load(order::seq_cst) !=
                   0; // before the slot: what was queued first is run
            phase = slot.state.phase_seq_cst(generation);
            return stop || phase == slot_phase::queued || phase == slot_phase::withdrawn;
        });
        return phase == slot_phase::queued || phase == slot_phase::withdrawn;
    }

    void respect_hold() noexcept {
        atomic<std::uint32_t>& hold = lane_.header().hold;
        // seq_cst: pairs with the parent's look at our slot after it has set the hold (see
        // lane_header::hold).
        while (hold.load(order::seq_cst) != 0) {
            port_.ring(); // our result is there, and the parent may wait for it before it decides
            futex_wait(hold.address(), 1, no_deadline, futex_scope::shared);
        }
    }

    // Before the task is done: see output.cpp.
    void hand_over_output(std::uint64_t index) noexcept {
        flush_standard_streams();
        lane_header& header = lane_.header();
        header.output_wanted.store(index + 1, order::seq_cst);
        port_.wait([&] { return header.output_taken.load(order::seq_cst) == index + 1; });
    }

    void perform(lane_slot& slot) noexcept {
        worker_identity& identity = this_worker();
        identity.task = slot.task;
        identity.attempt = slot.attempt;
        identity.name = nullptr;
        identity.deadline = 0;
        slot_reader in{port_, slot};
        slot_writer out{port_, slot};
        result_kind kind = result_kind::value;
        try {
            call(slot, in, out);
        } catch (const cancelled&) {
            out.restart();
            kind = result_kind::cancelled;
        } catch (abi::__forced_unwind&) {
            // pthread_exit in a task: this thread is ending and must not be held up. The worker dies of it.
            std::terminate();
        } catch (...) {
            kind = result_kind::exception;
            report(out, std::current_exception());
        }
        in.drain();
        // A worker whose initialiser has closed them must not become ready: its successors would do the same,
        // for ever.
        if ((slot.flags & setup_task) != 0 && (!port_.can_ring() || ::fcntl(lifeline_, F_GETFD) < 0))
            ::_exit(exit_without_bell);
        slot.size = out.finish();
        slot.kind = kind;
        identity.task = 0;
    }

    void call(const lane_slot& slot, byte_reader& in, byte_writer& out) {
        if ((slot.flags & described_task) != 0) read_description(slot, in);
        if ((slot.flags & setup_task) != 0) {
            const worker_settings settings = read_settings(in);
            apply_before_initializer(settings);
            read_registrations(in);
            if (in.take<std::uint8_t>() != 0) run_code(slot, in, out);
            apply_after_initializer(settings);
            return;
        }
        run_code(slot, in, out);
    }

    static void run_code(const lane_slot& slot, byte_reader& in, byte_writer& out) {
        void* code = slot.function == elsewhere ? read_place(in) : address_of(slot.function);
        reinterpret_cast<process_entry>(code)(in, out);
    }

    void read_description(const lane_slot& slot, byte_reader& in) {
        worker_identity& identity = this_worker();
        const auto timeout = in.take<std::int64_t>();
        const std::int64_t started = slot.started.load(order::relaxed);
        if (timeout != 0 && timeout < no_deadline - started) identity.deadline = started + timeout;
        name_ = read_text(in);
        if (!name_.empty()) identity.name = name_.c_str();
    }

    static void report(slot_writer& out, const std::exception_ptr& error) noexcept {
        try {
            out.restart();
            write_exception(out, error);
        } catch (...) {
            // Only memory can be short here; an empty result says so to the parent.
            out.restart();
        }
    }

    lane_view lane_;
    worker_port port_;
    int lifeline_;
    bool captured_;
    std::string name_; // of the task
};

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
        serial executor;
        executor_of_worker = &executor;
        process_worker{memory, ours, captured}.run();
    } // with it go the worker_locals
    leave_process(0);
}

} // namespace plait::detail
