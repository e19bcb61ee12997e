// SPDX-License-Identifier: Apache-2.0
// A run, its threads, and their turns. Who goes on is in scheduling.cpp, the memory in memory.cpp.
#include "testing/execution.hpp"

#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>

namespace plait::testing::model {

namespace {

constexpr std::size_t stack_size = std::size_t{256} * 1024;

thread_local execution* running = nullptr;
// What is swapped with the threads; see swap_with_thread.
struct own_memory {
    void* object;
    std::size_t size;
};
thread_local std::vector<own_memory> swapped;
std::uint32_t next_run_id() noexcept {
    static thread_local std::uint32_t last = 0;
    return ++last;
}

} // namespace

execution* execution::here() noexcept { return running; }

execution::execution() = default;
execution::~execution() = default;

std::vector<std::string> execution::names() const {
    std::vector<std::string> result;
    result.reserve(threads_used_);
    for (std::size_t i = 0; i < threads_used_; ++i) result.push_back(threads_[i]->name);
    return result;
}

bool execution::run(const std::function<void()>& test, choices& path, const run_limits& limits,
                    std::uint64_t seed) {
    memory_.clear();
    locations_used_ = 0;
    threads_used_ = 0;
    sleepers_.clear();
    fenced_.clear();
    path_ = &path;
    path.begin();
    limits_ = limits;
    asleep_ = 0;
    redundant_ = false;
    preemptions_ = 0;
    streak_ = 0;
    steps_ = 0;
    changes_ = 0;
    run_id_ = next_run_id();
    trace_ = 14695981039346656037ULL;
    over_ = false;
    failure_.clear();
    events.clear();
    labels_.clear();
    pointers_.clear();
    if (limits.random) {
        random_.seed(static_cast<std::uint32_t>(seed ^ seed >> 32));
        change_points_.clear();
        for (unsigned i = 1; i < limits.depth; ++i)
            change_points_.push_back(static_cast<std::uint32_t>(random_() % longest_));
        lowest_priority_ = 0;
    }
    fresh_own_.clear();
    for (const own_memory& o : swapped) {
        const auto* const at = static_cast<const unsigned char*>(o.object);
        fresh_own_.insert(fresh_own_.end(), at, at + o.size);
    }

    const thread_body main{
        [](void* t) { (*static_cast<const std::function<void()>*>(t))(); }, [](void*) noexcept {},
        const_cast<std::function<void()>*>(&test)}; // NOLINT(cppcoreguidelines-pro-type-const-cast)
    execution* const outer = running;
    running = this;
    thread& first = new_thread("main", main);
    now_ = &first;
    first.stack->switch_from(driver_);
    running = outer;

    std::size_t at = 0;
    for (const own_memory& o : swapped) {
        std::memcpy(o.object, fresh_own_.data() + at, o.size);
        at += o.size;
    }
    for (std::size_t i = 0; i < threads_used_; ++i) {
        thread& t = *threads_[i];
        if (!t.finished) t.stack->abandon();
        stacks_.push_back(std::move(t.stack));
        if (!t.finished) stacks_.pop_back();
    }
    longest_ = std::max(longest_, steps_);
    return failure_.empty();
}

thread& execution::new_thread(const char* name, thread_body body) {
    if (threads_used_ == view::most_threads)
        throw std::length_error{"testing::thread: at most " + std::to_string(view::most_threads) +
                                " threads in an exploration, the one that begins it included"};
    if (threads_used_ == threads_.size()) threads_.push_back(std::make_unique<thread>());
    thread& t = *threads_[threads_used_];
    std::unique_ptr<fiber> stack;
    if (stacks_.empty()) {
        stack = std::make_unique<fiber>(stack_size);
    } else {
        stack = std::move(stacks_.back());
        stacks_.pop_back();
    }
    t.id = static_cast<int>(threads_used_++);
    if (recording || !name) t.name = name ? name : "thread " + std::to_string(t.id);
    if (!recording && name) t.name.assign(name);
    t.stack = std::move(stack);
    t.body = body;
    t.has_seen.clear();
    t.may_see.clear();
    t.releases = {};
    t.clock = 0;
    t.next = nullptr;
    t.starter = nullptr;
    t.finished = t.detached = t.woken = t.granted = false;
    t.granted_at = ~std::uint64_t{0};
    t.fresh_from = 0;
    t.own = fresh_own_;
    priority_[static_cast<std::size_t>(t.id)] = limits_.random ? static_cast<std::int64_t>(random_()) : 0;
    t.stack->restart(&thread_main, &t);
    return t;
}

void execution::thread_main(void* self) {
    thread& t = *static_cast<thread*>(self);
    execution& e = *running;
    const auto thrown = [&t] {
        return "an exception left " + (t.id == 0 ? std::string{"the test"} : "thread '" + t.name + "'");
    };
    std::string failure;
    try {
        t.body.run(t.body.self);
    } catch (const std::exception& x) {
        failure = thrown() + ": " + x.what();
    } catch (...) {
        failure = thrown();
    }
    // Out of the handlers: from here nothing comes back, and the exception would never be freed.
    if (!failure.empty()) e.fail(std::move(failure), {});
    t.body.destroy(t.body.self);
    e.end_thread(t);
}

void execution::end_thread(thread& t) {
    t.finished = true;
    ++t.clock;
    t.has_seen.raise(static_cast<std::uint32_t>(t.id), t.clock, memory_);
    ++changes_;
    bool all = true;
    for (std::size_t i = 0; i < threads_used_; ++i) all = all && threads_[i]->finished;
    if (all) {
        over_ = true;
        driver_.switch_from(*t.stack, true);
    }
    if (t.starter) go_to(*std::exchange(t.starter, nullptr), true);
    if (t.id == 0)
        for (std::size_t i = 1; i < threads_used_; ++i)
            if (!threads_[i]->finished && !threads_[i]->detached)
                fail("the test has ended, but not its thread '" + threads_[i]->name + "': join it", {});
    go_to(pick(), true);
}

int execution::start(const char* name, thread_body body) {
    thread& me = *now_;
    thread& t = new_thread(name, body);
    if (recording) events.push_back({me.id, "starts " + t.name, {}});
    ++me.clock; // it sees all that was done up to here
    me.has_seen.raise(static_cast<std::uint32_t>(me.id), me.clock, memory_);
    t.has_seen.join(me.has_seen, memory_);
    t.clock = 1;
    t.has_seen.raise(static_cast<std::uint32_t>(t.id), 1, memory_);
    // At once, up to where it announces its first step: up to there nobody can tell the difference.
    const int id = t.id;
    t.starter = &me;
    go_to(t, false);
    return id;
}

void execution::join(int t, const site& where) {
    thread& other = *threads_[static_cast<std::size_t>(t)];
    step s{step_kind::join, &other, nullptr, false, false, false, nullptr, t, where};
    take_turn(s);
    now_->has_seen.join(other.has_seen, memory_);
    if (recording) done(s, "joins " + other.name);
}

void execution::take_turn(const step& s) {
    thread& me = *now_;
    me.next = &s;
    if (++steps_ > limits_.steps)
        fail("more than " + std::to_string(limits_.steps) +
                 " steps: threads poll for ever, or the test is too long. A loop that polls calls "
                 "testing::yield()",
             s.where);
    go_to(me.starter ? *std::exchange(me.starter, nullptr) : pick(), false);
    me.next = nullptr;
    ++me.clock;
    me.has_seen.raise(static_cast<std::uint32_t>(me.id), me.clock, memory_);
    mix(static_cast<std::uint64_t>(me.id) << 8 | static_cast<std::uint64_t>(s.kind));
}

void execution::go_to(thread& t, bool ended) {
    thread& me = *now_;
    if (&t == &me) return;
    std::size_t at = 0;
    for (const own_memory& o : swapped) {
        std::memcpy(me.own.data() + at, o.object, o.size);
        std::memcpy(o.object, t.own.data() + at, o.size);
        at += o.size;
    }
    now_ = &t;
    t.stack->switch_from(*me.stack, ended);
}

void execution::fail(std::string what, const site& where) {
    failure_ = std::move(what);
    failed_at_ = where;
    over_ = true;
    driver_.switch_from(*now_->stack);
    __builtin_trap(); // nobody goes on in a run that has failed
}

std::string execution::waits_for(const thread& t) const {
    const step& s = *t.next;
    switch (s.kind) {
    case step_kind::lock: {
        const int owner = *static_cast<const int*>(s.also);
        return "waits for " + name_of(s.what) +
               (owner == t.id ? ", which it holds itself"
                : owner >= 0  ? ", which '" + threads_[static_cast<std::size_t>(owner)]->name + "' holds"
                              : "");
    }
    case step_kind::asleep:
        return "sleeps on " + name_of(s.what);
    case step_kind::join:
        return "joins '" + threads_[static_cast<std::size_t>(s.thread)]->name + "'";
    case step_kind::pause:
        return "polls, and nothing changes";
    default:
        return "could go on";
    }
}

void execution::deadlock() {
    std::string what = "every thread waits:";
    for (std::size_t i = 0; i < threads_used_; ++i) {
        const thread& t = *threads_[i];
        if (t.finished || !t.next) continue;
        what += (i == 0 || what.back() == ':' ? " '" : ", '") + t.name + "' " + waits_for(t);
        if (t.next->where.line() != 0) {
            const std::string file = t.next->where.file_name();
            what +=
                " (" + file.substr(file.rfind('/') + 1) + ":" + std::to_string(t.next->where.line()) + ")";
        }
    }
    fail(std::move(what), {});
}

bool execution::sleep(const step& asleep, const void* on, const site&) {
    thread& me = *now_;
    me.woken = false;
    sleepers_.push_back({me.id, on});
    take_turn(asleep);
    std::erase_if(sleepers_, [&](const sleeper& s) { return s.thread == me.id; });
    return std::exchange(me.woken, false);
}

unsigned execution::wake(const void* address, unsigned most) {
    unsigned n = 0;
    for (auto s = sleepers_.begin(); s != sleepers_.end() && n < most;) {
        if (s->on == address) {
            threads_[static_cast<std::size_t>(s->thread)]->woken = true;
            s = sleepers_.erase(s);
            ++n;
        } else {
            ++s;
        }
    }
    if (n != 0) ++changes_;
    return n;
}

void execution::pause(const site& where) {
    thread& me = *now_;
    step s{step_kind::pause, nullptr, nullptr, true, true, false, nullptr, -1, where};
    me.paused_at = changes_;
    const std::uint32_t began = steps_;
    take_turn(s);
    me.granted = false;
    // What was stored before it began to pause it sees now, and what others have done meanwhile.
    me.fresh_from = std::max(began, steps_ - 1);
    if (recording) done(s, "looks again");
}

unsigned execution::choose(unsigned n, const site& where) {
    if (n == 0 || n > 255) fail("choose(" + std::to_string(n) + "): from 1 to 255", where);
    const unsigned chosen = choose_value(n);
    mix(chosen);
    if (recording)
        events.push_back({now_->id, "chooses " + std::to_string(chosen) + " of " + std::to_string(n), where});
    return chosen;
}

void execution::done(const step& s, std::string text) {
    events.push_back({now_->id, std::move(text), s.where});
}

void swap_with_thread(void* object, std::size_t size) {
    for (const own_memory& o : swapped)
        if (o.object == object) return;
    swapped.push_back({object, size});
}

} // namespace plait::testing::model
