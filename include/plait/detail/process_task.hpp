// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <plait/detail/atomic.hpp>
#include <plait/detail/bytes.hpp>
#include <plait/detail/identity.hpp>
#include <plait/executor.hpp>
#include <span>
#include <string>
#include <utility>

namespace plait::detail {

class map_record;
class process_engine;
struct exception_origin;

/// A large value that is put together as its bytes come, rather than when all of them are there.
class [[gnu::visibility("default")]] result_sink {
  public:
    virtual ~result_sink() = default;
    /// Throws bad_alloc.
    virtual void append(const std::byte* bytes, std::size_t count) = 0;
    /// Bytes so far, those included that it was made for.
    virtual std::uint64_t size() const noexcept = 0;
    /// It was something else: gives back the bytes that it was given.
    virtual void undo(byte_buffer& into) const = 0;
};
/// Its owner.
class sink_owner {
  public:
    sink_owner() noexcept = default;
    explicit sink_owner(result_sink* owned) noexcept : sink_{owned} {}
    sink_owner(sink_owner&& other) noexcept : sink_{std::exchange(other.sink_, nullptr)} {}
    sink_owner& operator=(sink_owner&& other) noexcept {
        std::swap(sink_, other.sink_);
        return *this;
    }
    ~sink_owner() { delete sink_; }
    explicit operator bool() const noexcept { return sink_ != nullptr; }
    result_sink& operator*() const noexcept { return *sink_; }
    result_sink* operator->() const noexcept { return sink_; }

  private:
    result_sink* sink_ = nullptr;
};
/// It is made for a value's first bytes,
inline constexpr std::size_t sink_head = 8;
/// if so many are announced.
inline constexpr std::uint64_t large_result = std::uint64_t{4} << 20;

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
    sink_owner large;            // in place of `bytes`; it has all of the value
    descriptor_list descriptors; // of the handles in it
    std::exception_ptr error;
    int pid = 0;
    std::uint32_t worker = 0;
};
/// The error that a result stands for, which is no value.
[[gnu::visibility("default")]] std::exception_ptr error_in(const process_result& result,
                                                           const exception_origin& origin) noexcept;

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
    virtual void finished(process_result&& result) noexcept = 0;
    /// For a result of `announced` bytes, of which these are the first; null: it is decoded when all are there.
    virtual sink_owner make_sink(const std::byte* /*head*/, std::uint64_t /*announced*/) { return {}; }
    /// Its timeout and name, if there are any; before the arguments.
    void describe(byte_writer& out);

    void add_reference() noexcept { references_.fetch_add(1, order::relaxed); }
    void drop_reference() noexcept {
        // acquire, acq_rel: the last one sees everything that the others did. Who has the only reference gives none away
        // meanwhile, so then there is nothing to count.
        if (references_.load(order::acquire) == 1 || references_.fetch_sub(1, order::acq_rel) == 1)
            released();
    }

    std::uint64_t number() const noexcept { return number_; }
    /// What it printed, where that is captured; from when it has ended on.
    std::string output() const { return notes_ != nullptr ? notes_->output : std::string{}; }

  protected:
    virtual ~process_task() { delete notes_; }
    /// As it was at first, but for what the submitter fills in; when the pool is through with it.
    void renew() noexcept {
        references_.store(1, order::relaxed);
        arguments = byte_buffer{near, near_size};
        descriptors.all.clear();
        stage_ = stage::fresh;
        attempts_ = 0;
        doom_ = doom::none;
        if (notes_ != nullptr) delete std::exchange(notes_, nullptr);
    }
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
    // The rest is guarded by the engine's lock. First what every task needs, then what few do.
    int attempts_ = 0; // that a worker has begun
    stage stage_ = stage::fresh;
    enum class doom : std::uint8_t { none, cancelled, timed_out, killed } doom_ = doom::none;
    bool descriptors_sent_ = false; // this attempt
    std::uint64_t number_ = 0;      // the order of submission; moved tasks keep it
    process_task* next_ = nullptr;
    process_task* previous_ = nullptr;
    class parent_lane* lane_ = nullptr;
    std::uint64_t index_ = 0;  // its slot there
    std::uint64_t fed_ = 0;    // argument bytes streamed, this attempt
    std::int64_t kill_at_ = 0; // on a loop: when its worker is killed if it has not stopped; 0: it is not
    notes* notes_ = nullptr;
    std::int64_t began_ = 0; // the attempt that its worker died in; 0: not known
    byte_buffer incoming_;   // streamed result bytes, this attempt
    sink_owner sink_;        // where those after the first go, if it is there
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
/// The same for those of a map that have not failed already.
[[gnu::visibility("default")]] void submit_all_to(process_engine& engine, std::span<map_record> records);
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
