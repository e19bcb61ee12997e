// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/death_report.hpp"
#include "process/helper_client.hpp"
#include "process/parent_lane.hpp"
#include "process/pending_tasks.hpp"
#include "process/worker_settings.hpp"
#include "strand/failures.hpp"
#include "sys/unique_fd.hpp"

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <plait/detail/process_task.hpp>

namespace plait::detail {

/// What a pool is made with; see process_pool_options.
struct process_engine_options {
    std::size_t workers = 1;
    std::uint64_t max_tasks_per_worker = 0; // 0: no limit
    std::int64_t start_timeout = 0;         // nanoseconds for the initialiser
    bool capture_output = false;
    std::uint32_t at_once = 0; // tasks on each worker's loop; 0: workers run one after the other
    worker_settings settings;
    worker_event_handler on_worker_event;
    code_place initializer = elsewhere;
    bool has_initializer = false;
    byte_buffer initializer_arguments;
    descriptor_list initializer_descriptors;
    unhandled_handler on_unhandled;
};

/// A process pool without its types: tasks as bytes, lanes, workers, and the one thread that watches them.
///
/// Who does what:
///   submitters   encode, queue, and place tasks into lanes that have room;
///   supervisor   harvests results, feeds lanes, copies streams, and owns every verdict about a death.
///   Whatever a
///                callback of a task does, no lock is held meanwhile;
///   cancellers   take back what no worker has begun, or kill the worker that holds it.
/// One lock guards queue and books. It is the parent's own: no lock lies in shared memory, so no death can
/// hold one.
///
/// Invariant: a task that was taken is at any moment in exactly one place (the queue, one lane's books, or
/// the list of those that are being told), and `open_` counts them all. Living workers are compared with
/// wanted ones; there are no tokens that could outlive what they stand for.
class process_engine {
  public:
    explicit process_engine(process_engine_options options);
    process_engine(const process_engine&) = delete;
    process_engine& operator=(const process_engine&) = delete;

    void submit(process_task& task);
    void submit(std::span<map_record> records);
    bool cancel(process_task& task, process_cancel how) noexcept;
    /// By a thread that waits for the task, before it sleeps for it in another way.
    void attend(process_task& task) noexcept;
    /// By a thread that is about to wait in another way.
    void hurry() noexcept;
    void shutdown(bool wait, bool cancel_pending, bool kill);
    std::size_t status(process_worker_status* into, std::size_t count);
    void signal_all(int signal) noexcept;

    /// Workers that the helper is asked for before it has answered: so many messages fit the socket's buffers
    /// in both directions, and neither side ever waits for the other to read.
    static constexpr std::size_t most_requests = 64;

    /// Ends it: joins the supervisor, or has it end by itself if that is who asks. Gives up one reference.
    static void destroy(process_engine* engine) noexcept;
    void add_reference() noexcept { references_.fetch_add(1, order::relaxed); }
    void drop_reference() noexcept {
        // acq_rel: the last one sees everything that the others did.
        if (references_.fetch_sub(1, order::acq_rel) == 1) delete this;
    }
    failure_handler& failures() noexcept { return *failures_; }

  private:
    ~process_engine() = default;
    struct ending {
        process_task* task;
        process_result result;
        std::unique_ptr<death_report> death = nullptr; // becomes the result's error when it is told
    };
    /// Who tells of ends needs no memory for it: his list has it from the start, and what finds no place is taken next time.
    static constexpr std::size_t endings_at_once = 128;
    static bool is_full(const std::vector<ending>& ended) noexcept {
        return ended.size() == ended.capacity();
    }
    struct noted_event {
        worker_event event;
        std::unique_ptr<death_report> death = nullptr; // becomes its text when it is told
    };
    struct seat {                          // of a worker
        std::shared_ptr<parent_lane> lane; // shared with the thread that attends to it
        std::int64_t not_before = 0;
    };

    enum class start_failure : unsigned char { no_process, before_ready };

    // process_engine.cpp: from any thread.
    void wake_supervisor() noexcept;
    void take(std::span<process_task* const> tasks);

    // attend.cpp: from any thread.
    enum class attendance : std::uint8_t { told, listening, over };
    struct watch_of_lane;
    attendance look_after_lanes(process_task& task, watch_of_lane& watch,
                                std::vector<ending>& ended) noexcept;
    bool collects_for_all(const parent_lane& lane) const noexcept;
    bool harvest_in_thread(std::vector<ending>& ended) noexcept;
    void make_room() noexcept;
    void wake_held_back() noexcept;
    static void listen(watch_of_lane& watch) noexcept;
    void sleep_in(watch_of_lane& watch) noexcept;
    void check_process() const;

    // dispatch.cpp: under the lock.
    void dispatch(bool urgent = false) noexcept;
    std::size_t depth(const parent_lane& lane) const noexcept;
    bool takes_tasks(const parent_lane* lane) const noexcept;
    parent_lane* best_lane() noexcept;
    void spread() noexcept;
    void recall_less_urgent_than(const process_task& task) noexcept;
    void take_from_behind_long_tasks(std::int64_t now) noexcept;
    void collect(parent_lane& lane, std::vector<ending>& ended);
    bool exhausted(const parent_lane& lane) const noexcept;
    void refuse_all(std::vector<ending>& ended) noexcept;

    // supervisor.cpp: the supervisor's thread.
    void supervise() noexcept;
    std::int64_t turn(std::vector<ending>& ended);
    static void tell(ending& e) noexcept;
    void deliver(ending& one) noexcept;
    void deliver(std::vector<ending>& ended) noexcept;
    void deliver(std::vector<ending>& ended, std::vector<ending>& spare) noexcept;
    bool pump_streams() noexcept;
    bool pump_output() noexcept; // output.cpp

    // watching.cpp: the same.
    void note(noted_event event) noexcept;
    void note_started(const parent_lane& lane) noexcept;
    void note_ready(const parent_lane& lane) noexcept;
    void note_end(const parent_lane& lane, const process_task* held) noexcept;
    bool tell_events() noexcept;
    std::int64_t check_memory(std::int64_t now) noexcept;
    bool announce_sleep(std::int64_t& deadline) noexcept;
    void sleep_until(std::int64_t deadline) noexcept;
    void note_event(int descriptor, bool readable) noexcept;
    std::int64_t check_timeouts(parent_lane& lane, std::int64_t now) noexcept;
    void ask_to_stop(parent_lane& lane, process_task& task, process_task::doom why, bool kill) noexcept;
    std::int64_t kill_if_due(parent_lane& lane, const process_task& task, std::int64_t now) noexcept;

    // workers.cpp: the supervisor's thread (and the constructor, before there is one), under the lock.
    void hire(std::uint32_t worker);
    int ask_for(parent_lane& lane) noexcept;
    int ask_helper_for(parent_lane& lane) noexcept;
    std::size_t unanswered_requests() noexcept;
    void watch_worker(parent_lane& lane) noexcept;
    std::exception_ptr cannot_start(std::uint32_t worker, int error) const noexcept;
    void read_helper() noexcept;
    void helper_gone() noexcept;
    bool helper_hangs(std::int64_t now) noexcept;
    static std::int64_t deadline_of_answer(const parent_lane& lane) noexcept;

    // burial.cpp: the same.
    std::int64_t tend_workers(std::int64_t now, std::vector<ending>& ended);
    void tend_seat(seat& s, std::int64_t now, std::vector<ending>& ended);
    void end_if_severed(parent_lane& lane) noexcept;
    static void let_go_if_idle(parent_lane& lane, std::int64_t now) noexcept;
    void fill_seats(std::int64_t now);
    void retire_all(std::int64_t now) noexcept;
    std::int64_t next_deadline(std::int64_t now) noexcept;
    bool bury_if_dead(parent_lane& lane, std::int64_t now, std::vector<ending>& ended);
    static void take_last_output(parent_lane& lane, process_task& task) noexcept;
    static void note_attempt(const parent_lane& lane, process_task& task) noexcept;
    void end_held_task(parent_lane& lane, process_task& task, std::vector<ending>& ended);
    void start_failed(seat& s, start_failure how, const std::exception_ptr& cause, std::int64_t now) noexcept;
    std::int64_t count_start_failure(start_failure how, const std::exception_ptr& cause,
                                     std::int64_t now) noexcept;
    death_report report_of(const parent_lane& lane, const process_task* task) const;
    std::exception_ptr lost(const parent_lane& lane, const process_task* task) const noexcept;
    template <class Function>
    void for_each_lane(Function function) {
        for (seat& s : seats_)
            if (s.lane) function(*s.lane);
        for (const std::shared_ptr<parent_lane>& lane : retiring_) function(*lane);
    }

    atomic<std::uint32_t> references_{1};
    failure_handler_ptr failures_;
    process_engine_options options_;
    const int process_; // whose pool it is: a forked child must not touch it
    const bool spins_;  // there are processors enough for all workers and a thread that waits
    unique_fd bell_;
    unique_fd epoll_;

    std::mutex mutex_;
    std::condition_variable changed_;
    atomic<bool> holds_back_{false}; // perhaps some worker sleeps although a task is queued for it
    // All below under mutex_.
    helper_client helper_;
    bool helper_watched_ = false;
    std::vector<seat> seats_;
    std::vector<std::shared_ptr<parent_lane>> retiring_;
    pending_tasks pending_;
    std::uint64_t next_number_ = 1;
    std::uint64_t next_incarnation_ = 1;
    std::size_t open_ = 0; // tasks taken whose `finished` has not returned
    double mean_ = 1e9;    // of a task's time, nanoseconds
    std::size_t result_hint_ = 0;
    int failures_in_a_row_ = 0; // workers that ended before they were ready
    std::exception_ptr last_failure_;
    std::exception_ptr broken_;
    std::vector<noted_event> events_; // to be told, if there is a handler
    std::int64_t next_memory_look_ = 0;
    std::vector<ending> endings_;       // the supervisor's
    std::vector<ending> spare_endings_; // of whoever collects next in another thread, if it is there
    bool lively_ = false;               // results have come since the supervisor last thought of sleeping
    bool threads_harvest_ = false;      // the same, and threads have taken some of them
    bool placed_timed_ =
        false; // a task with a time limit, since the supervisor last looked for the next deadline
    bool closing_ = false;
    bool killing_ = false;
    bool over_ = false; // the supervisor has nothing more to do
    bool joining_ = false;
    bool joined_ = false;
    std::thread::id supervisor_id_;
    std::thread supervisor_;
};

/// What the future of a task throws that a shutdown with .kill has kept from beginning.
std::exception_ptr killed_unbegun() noexcept;
/// What a task's future throws when its time was over.
std::exception_ptr timeout_of(const process_task& task) noexcept;

process_engine* make_process_engine(process_engine_options options);

} // namespace plait::detail
