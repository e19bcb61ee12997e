// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "testing/choices.hpp"
#include "testing/fiber.hpp"
#include "testing/view.hpp"

#include <plait/detail/model.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace plait::testing::model {

constexpr bits mask_of(unsigned bytes) noexcept { return bytes == 8 ? ~bits{0} : (bits{1} << 8 * bytes) - 1; }

constexpr bits changed_by(change what, bits value, bits operand) noexcept {
    switch (what) {
    case change::exchange:
        return operand;
    case change::add:
        return value + operand;
    case change::subtract:
        return value - operand;
    case change::bit_or:
        return value | operand;
    case change::bit_and:
        return value & operand;
    case change::bit_xor:
        return value ^ operand;
    }
    return value;
}

struct store {
    bits value;
    seen carried;       // what whoever acquires it has then seen
    std::uint32_t step; // of the run
    std::uint8_t by;    // thread
};

/// An atomic word in one run: all that was ever stored there, in modification order. A new store is always the last.
class location {
  public:
    void begin(const word& w, std::uint32_t index) {
        address = w.address();
        bytes = w.size();
        number = index;
        gone = false;
        ordered = 0;
        accessed.fill(0);
        stale.fill({});
        stores.clear();
        stores.push_back({w.latest_, {}, 0, 0});
    }
    std::uint32_t newest() const noexcept { return static_cast<std::uint32_t>(stores.size() - 1); }
    std::uint32_t index() const noexcept { return view::most_threads + number; } // in views

    const void* address = nullptr;
    unsigned bytes = 0;
    std::uint32_t number = 0;
    bool gone = false;         // destroyed
    std::uint32_t ordered = 0; // the newest store that a seq_cst operation has stored or found
    std::array<std::uint32_t, view::most_threads> accessed{}; // by each thread, at which of its steps
    struct repeat {
        std::uint32_t store = 0;
        std::uint32_t times = 0;
    };
    std::array<repeat, view::most_threads> stale{};
    std::vector<store> stores;
};

enum class step_kind : unsigned char {
    load,
    store,
    modify,
    compare_exchange,
    fence,
    lock,
    try_lock,
    unlock,
    wait,   // announces it; `asleep` is the wait itself
    asleep, // until woken, or until the time is up
    wake,
    pause,
    join,
};

/// What a thread does next: announced before it is done, so that the choice of who goes on knows all of them.
struct step {
    step_kind kind;
    const void* what = nullptr; // two steps that touch the same thing do not commute, unless both only read
    const void* also = nullptr;
    bool writes = true;
    bool everything = false; // touches whatever there is
    bool bounded = false;    // the wait may end by itself
    const lock_word* lock = nullptr;
    int thread = -1; // join
    site where;
};

struct thread {
    int id = 0;
    std::string name;
    std::unique_ptr<fiber> stack;
    thread_body body{};
    view has_seen;
    view may_see;    // what relaxed loads have found: seen at the next acquire fence
    seen releases{}; // what was seen at the last release fence
    std::uint32_t clock = 0;
    const step* next = nullptr;
    thread* starter = nullptr; // to be gone back to when the first step is announced
    bool finished = false;
    bool detached = false;
    bool woken = false;
    bool granted = false;        // a pause that may end although nothing has changed
    std::uint64_t paused_at = 0; // how many changes there were
    std::uint64_t granted_at = ~std::uint64_t{0};
    std::uint32_t fresh_from = 0;   // it sees whatever was stored before that step
    std::vector<unsigned char> own; // see swap_with_thread
};

struct event {
    int thread;
    std::string text;
    site where;
};

/// How runs are made.
struct run_limits {
    int preemptions = -1; // as many as there can be
    std::uint32_t steps = 10'000;
    bool random = false;
    unsigned depth = 3; // of a bug that a random run looks for: 1 + the places where it changes priorities
};

/// One schedule of a test: its threads, run one step at a time by the OS thread that calls run(). Used again for the
/// next schedule, so that nothing is allocated for each.
class execution {
  public:
    execution();
    ~execution();

    /// Runs `test` along `path`. False: it failed.
    bool run(const std::function<void()>& test, choices& path, const run_limits& limits, std::uint64_t seed);

    /// It only repeats what was seen in another order of steps that do not touch each other.
    bool redundant() const noexcept { return redundant_; }
    std::uint64_t trace() const noexcept { return trace_; }
    std::uint32_t steps() const noexcept { return steps_; }
    const std::string& failure() const noexcept { return failure_; }
    site failed_at() const noexcept { return failed_at_; }
    std::vector<event> events; // if `recording`
    std::vector<std::string> names() const;
    bool recording = false;

    static execution* here() noexcept;

    // The model's operations, on the thread that runs now.
    bits load(const word& w, location& l, int order, const site& where);
    void store_to(location& l, bits value, int order, const site& where);
    bits modify(location& l, change what, bits operand, int order, const site& where);
    bool compare_exchange(location& l, bits& expected, bits desired, int success, int failure,
                          const site& where);
    void fence(int order, const site& where);
    void fence_everywhere(const site& where);
    void touch_plain(const plain_memory& m, bool writes, const site& where);
    std::uint32_t id() const noexcept { return run_id_; }
    int current_thread() const noexcept { return now_->id; }

    void take_turn(const step& s);
    void done(const step& s, std::string text);
    bool sleep(const step& asleep, const void* on, const site& where);
    unsigned wake(const void* address, unsigned most);
    void acquire(const void* published);
    const void* publish();
    void changed() noexcept { ++changes_; }
    void pause(const site& where);
    unsigned choose(unsigned n, const site& where);

    int start(const char* name, thread_body body);
    void join(int t, const site& where);
    void detach(int t) noexcept { threads_[static_cast<std::size_t>(t)]->detached = true; }
    [[noreturn]] void fail(std::string what, const site& where);
    void label(const void* object, std::size_t size, const char* name);
    location& place_of(const word& w, location*& place, std::uint32_t& run);
    void forget(location& l, const site& where);
    void forget_waited(const void* what, const char* kind);
    std::string name_of(const void* address, const char* otherwise = "a lock") const;
    std::string value_text(bits value, unsigned bytes);

  private:
    thread& new_thread(const char* name, thread_body body);
    static void thread_main(void* self);
    void end_thread(thread& t);
    thread& pick();
    int choose_thread(thread_set enabled);
    unsigned choose_value(unsigned values);
    bool ready(const thread& t) const noexcept;
    thread_set enabled_threads();
    static bool independent(const step& a, const step& b) noexcept;
    void go_to(thread& t, bool ended);
    void leave() noexcept;
    void fence_of(thread& t, int order);
    std::uint32_t oldest_visible(location& l, bool seq_cst);
    void found(location& l, std::uint32_t index, int order);
    void append(location& l, bits value, int order, const seen* before);
    void touch(location& l, const step& s);
    [[noreturn]] void deadlock();
    std::string waits_for(const thread& t) const;
    void mix(std::uint64_t x) noexcept { trace_ = (trace_ ^ x) * 1099511628211ULL; }

    arena memory_;
    std::deque<location> locations_;
    std::size_t locations_used_ = 0;
    std::vector<std::unique_ptr<thread>> threads_;
    std::size_t threads_used_ = 0;
    std::vector<std::unique_ptr<fiber>> stacks_;
    fiber driver_;
    thread* now_ = nullptr;
    struct sleeper {
        int thread;
        const void* on;
    };
    std::vector<sleeper> sleepers_; // in the order in which they came
    view fenced_;                   // by seq_cst fences

    choices* path_ = nullptr;
    run_limits limits_;
    thread_set asleep_ = 0;
    bool redundant_ = false;
    int preemptions_ = 0;
    std::uint32_t streak_ = 0; // steps that the same thread has taken in a row
    std::uint32_t steps_ = 0;
    std::uint64_t changes_ = 0;
    std::uint32_t run_id_ = 0;
    std::uint64_t trace_ = 0;

    std::minstd_rand random_;
    std::array<std::int64_t, view::most_threads> priority_{};
    std::vector<std::uint32_t> change_points_;
    std::int64_t lowest_priority_ = 0;
    std::uint32_t longest_ = 16; // steps of a run so far

    bool over_ = false;
    std::string failure_;
    site failed_at_;
    struct labelled {
        const unsigned char* begin;
        std::size_t size;
        std::string name;
    };
    std::vector<labelled> labels_;
    std::vector<bits> pointers_; // in the order in which the story names them
    std::vector<unsigned char> fresh_own_;
};

} // namespace plait::testing::model
