// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <plait/detail/atomic.hpp>
#include <plait/detail/bytes.hpp>
#include <plait/detail/identity.hpp>
#include <plait/executor.hpp>
#include <string>

namespace plait::detail {

class process_engine;

/// How a process task ended.
struct process_result {
    enum class kind : std::uint8_t {
        value,     ///< `bytes` hold it, encoded
        exception, ///< `bytes` hold it, encoded; `origin_*` say where it was thrown
        cancelled,
        failed, ///< `error`: the worker or the pool failed, not the function
    };
    kind what = kind::cancelled;
    byte_buffer bytes;
    descriptor_list descriptors; // of the handles in it
    std::exception_ptr error;
    int pid = 0;
    std::uint32_t worker = 0;
};

/// A task of a process pool, on the parent's side. Counted references: the pool holds one until it has ended,
/// the future another.
class [[gnu::visibility("default")]] process_task {
  public:
    process_task() noexcept = default;
    process_task(const process_task&) = delete;
    process_task& operator=(const process_task&) = delete;

    // What the submitter fills in.
    code_place function = elsewhere;
    static constexpr std::size_t near_size = 64;
    alignas(16) std::byte near[near_size]; // NOLINT: small arguments; then the result, if it is small
    byte_buffer arguments{near,
                          near_size}; // kept while the task can move to another worker, or has retries left
    descriptor_list descriptors;      // of the handles in them; kept as long as they are
    const char* name = "";            // lives as long as the task
    int retries = 0;
    int priority = 1;         // 0 high, 1 normal, 2 low
    std::int64_t timeout = 0; // nanoseconds from its start; 0: none
    bool described = false;   // its name and timeout stand before its arguments
    bool setup = false;       // a worker's first task: registrations and the initialiser

    /// Called once, without locks, when it has ended: by the supervisor, or by the thread that cancelled it.
    virtual void finished(process_result result) noexcept = 0;

    void add_reference() noexcept { references_.fetch_add(1, order::relaxed); }
    void drop_reference() noexcept {
        // acq_rel: the last one sees everything that the others did.
        if (references_.fetch_sub(1, order::acq_rel) == 1) released();
    }

    std::uint64_t number() const noexcept { return number_; }
    /// What it printed, where that is captured; from when it has ended on.
    std::string output() const { return notes_ != nullptr ? notes_->output : std::string{}; }

  protected:
    virtual ~process_task() { delete notes_; }
    /// The last reference is gone.
    virtual void released() noexcept = 0;

  private:
    friend class process_engine;
    friend class parent_lane;
    friend class pending_tasks;
    friend std::exception_ptr timeout_of(const process_task& task) noexcept;
    enum class stage : std::uint8_t { fresh, pending, placed, ended };
    /// What few tasks have: on the heap, so that the others do not carry it.
    struct notes {
        std::string earlier; // how earlier attempts ended
        std::string output;  // what it printed, this attempt
    };
    notes& make_notes() {
        if (notes_ == nullptr) notes_ = new notes;
        return *notes_;
    }

    atomic<std::uint32_t> references_{1};
    // The rest is guarded by the engine's lock.
    stage stage_ = stage::fresh;
    std::uint64_t number_ = 0; // the order of submission; moved tasks keep it
    int attempts_ = 0;         // that a worker has begun
    notes* notes_ = nullptr;
    std::int64_t began_ = 0;        // the attempt that its worker died in; 0: not known
    std::uint64_t fed_ = 0;         // argument bytes streamed, this attempt
    bool descriptors_sent_ = false; // this attempt
    byte_buffer incoming_;          // streamed result bytes, this attempt
    class parent_lane* lane_ = nullptr;
    std::uint64_t index_ = 0; // its slot there
    enum class doom : std::uint8_t { none, cancelled, timed_out, killed } doom_ = doom::none;
    std::int64_t kill_at_ = 0; // on a loop: when its worker is killed if it has not stopped; 0: it is not
    process_task* next_ = nullptr;
    process_task* previous_ = nullptr;
};

/// One worker as `status` shows it.
struct process_worker_status {
    int pid = 0;
    std::uint64_t tasks = 0; // that it has finished
    std::uint64_t task = 0;  // that it runs now; 0: none
    bool ready = false;
};

enum class process_cancel : std::uint8_t { queued_only, kill };

// The pool's engine behind functions, so that this header needs none of its parts.
/// Shuts it down. It is freed when its tasks' futures, which may outlive it, are gone as well.
[[gnu::visibility("default")]] void destroy_process_engine(process_engine* engine) noexcept;
[[gnu::visibility("default")]] void retain(process_engine& engine) noexcept;
[[gnu::visibility("default")]] void release(process_engine& engine) noexcept;
/// A failure that nobody awaits.
[[gnu::visibility("default")]] void report_unhandled(process_engine& engine, const std::exception_ptr& error,
                                                     const char* task_name) noexcept;
/// Takes over one reference. Throws shutdown_error (the task has then not been taken).
[[gnu::visibility("default")]] void submit_to(process_engine& engine, process_task& task);
/// By a thread that is about to wait for some of its tasks: none is held back any more.
[[gnu::visibility("default")]] void hurry_in(process_engine& engine) noexcept;
/// By a thread that waits for the task and belongs to no executor, before it sleeps in another way: until the task has
/// ended it does what the pool's own thread does else, and is woken by the worker itself. Returns when nothing of that is
/// possible.
[[gnu::visibility("default")]] void attend_in(process_engine& engine, process_task& task) noexcept;
/// True: it ends, or has ended by this call, as cancelled.
[[gnu::visibility("default")]] bool cancel_in(process_engine& engine, process_task& task,
                                              process_cancel how) noexcept;
[[gnu::visibility("default")]] void shut_down(process_engine& engine, bool wait, bool cancel_pending,
                                              bool kill);
/// Sends a signal to every worker's process.
[[gnu::visibility("default")]] void signal_workers(process_engine& engine, int signal) noexcept;
[[gnu::visibility("default")]] std::size_t copy_status(process_engine& engine, process_worker_status* into,
                                                       std::size_t count);

} // namespace plait::detail
