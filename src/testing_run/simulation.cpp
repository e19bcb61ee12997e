// SPDX-License-Identifier: Apache-2.0
#include "testing_run/simulation.hpp"

#include "testing_run/by_name.hpp"

#include "strand/pool_engine.hpp"
#include "sys/direct_call.hpp"

#include <plait/trace.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <mutex>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace plait::testing {

namespace {

struct place {
    simulation* run = nullptr;
    simulated_thread* thread = nullptr;
    bool inside = false; // of the simulation itself: its own calls are not simulated
};
constinit thread_local place here_now;

/// For as long as this thread does the simulation's own work.
struct inside {
    inside() noexcept { here_now.inside = true; }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;
    ~inside() { here_now.inside = false; }
};

std::string name_of(const simulated_thread& t) {
    std::array<char, 16> name{};
    if (::pthread_getname_np(t.handle, name.data(), name.size()) != 0) name[0] = '\0';
    return "thread " + std::to_string(t.number) + " (" + name.data() + ")";
}

// What dump_tasks() says.
std::string live_tasks() {
    const int file = ::memfd_create("plait-tasks", MFD_CLOEXEC);
    if (file < 0) return {};
    dump_tasks(file, 100);
    std::string text(static_cast<std::size_t>(std::max<off_t>(::lseek(file, 0, SEEK_END), 0)), '\0');
    const auto n = ::pread(file, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    ::close(file);
    return text;
}

} // namespace

struct simulation::start {
    simulation* run;
    simulated_thread* thread;
    void* (*function)(void*);
    void* argument;
};

simulation* simulation::here() noexcept { return here_now.inside ? nullptr : here_now.run; }

std::uint64_t simulation::random() noexcept { // splitmix64
    std::uint64_t z = random_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

simulated_thread& simulation::add() {
    threads_.push_back(std::make_unique<simulated_thread>());
    simulated_thread& t = *threads_.back();
    t.number = static_cast<unsigned>(threads_.size());
    return t;
}

// The thread ends when all that is its own has been destroyed: thread_local objects go first, this comes after them.
static pthread_key_t end_key(void (*ends)(void*) noexcept) {
    static pthread_key_t key = [ends] {
        pthread_key_t made{};
        if (::pthread_key_create(&made, ends) != 0)
            throw std::runtime_error{"testing::run: no pthread key is left"};
        return made;
    }();
    return key;
}

void* simulation::thread_main(void* argument) {
    const start s = *static_cast<start*>(argument);
    delete static_cast<start*>(argument);
    here_now.inside = true;
    ::pthread_setspecific(end_key(&thread_ends), s.thread);
    s.thread->handle = ::pthread_self();
    real::sleep_on(s.thread->turn);
    here_now = {s.run, s.thread, false};
    return s.function(s.argument);
}

void simulation::thread_ends(void* thread) noexcept {
    simulation& run = *here_now.run;
    here_now.inside = true;
    run.end_of(*static_cast<simulated_thread*>(thread));
}

void simulation::end_of(simulated_thread& t) noexcept {
    t.now = simulated_thread::state::ended;
    wake(&t, ~0U);
    here_now.run = nullptr; // what is left of this thread is no business of ours
    hand_over(t, true);
}

int simulation::create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*),
                       void* argument) noexcept {
    int error = 0;
    {
        const inside ours;
        simulated_thread& t = add();
        auto* const s = new (std::nothrow) start{this, &t, function, argument};
        error = s ? real::create(handle, attributes, &thread_main, s) : EAGAIN;
        if (error != 0) {
            delete s;
            threads_.pop_back();
            return error;
        }
        t.handle = *handle;
    }
    give_way();
    return 0;
}

void simulation::await_end(pthread_t handle) noexcept {
    for (const auto& t : threads_)
        if (::pthread_equal(t->handle, handle) != 0 && t->now != simulated_thread::state::ended) {
            wait(t.get(), "joins a thread");
            return;
        }
}

bool simulation::wait(const void* on, const char* how, std::int64_t deadline) noexcept {
    if (deadline <= now_) {
        give_way();
        return false;
    }
    const inside ours;
    simulated_thread& me = *here_now.thread;
    if (!me.polls) ++activity_;
    me.on = on;
    me.how = how;
    me.deadline = deadline;
    me.timed_out = false;
    me.now = simulated_thread::state::waits;
    waiting_.push_back(&me);
    hand_over(me, false);
    return !me.timed_out;
}

bool simulation::wait_for_activity(const void* on, const char* how, std::int64_t deadline) noexcept {
    simulated_thread& me = *here_now.thread;
    me.polls = true;
    me.looked_at = activity_;
    const bool something = wait(on, how, deadline);
    me.polls = false;
    return something;
}

unsigned simulation::wake(const void* on, unsigned most) noexcept {
    const bool outer = std::exchange(here_now.inside, true);
    unsigned n = 0;
    for (auto t = waiting_.begin(); t != waiting_.end() && n < most;) {
        if ((*t)->on != on || (*t)->polls) {
            ++t;
            continue;
        }
        (*t)->now = simulated_thread::state::ready;
        t = waiting_.erase(t);
        ++n;
    }
    here_now.inside = outer;
    return n;
}

void simulation::give_way() noexcept {
    const inside ours;
    ++activity_;
    hand_over(*here_now.thread, false);
}

void simulation::holds(const void* mutex, bool yes) noexcept {
    const inside ours;
    if (yes)
        held_.push_back({mutex, here_now.thread});
    else
        std::erase_if(held_, [mutex](const held& h) { return h.mutex == mutex; });
}

// Whose turn it is: one of those who are ready. If nobody is, those who poll look again, if anything has happened since
// they did; then the clock goes on to the first deadline. Null: everybody waits for ever.
simulated_thread* simulation::next() noexcept {
    for (int again = 0; again < 3; ++again) {
        std::size_t ready = 0;
        for (const auto& t : threads_) ready += t->now == simulated_thread::state::ready ? 1U : 0U;
        if (ready != 0) {
            std::size_t chosen = random() % ready;
            for (const auto& t : threads_)
                if (t->now == simulated_thread::state::ready && chosen-- == 0) return t.get();
        }
        const auto go_on = [&](auto which, bool timed_out) {
            bool any = false;
            for (auto t = waiting_.begin(); t != waiting_.end();) {
                if (!which(**t)) {
                    ++t;
                    continue;
                }
                (*t)->timed_out = timed_out;
                (*t)->now = simulated_thread::state::ready;
                t = waiting_.erase(t);
                any = true;
            }
            return any;
        };
        if (go_on([&](const simulated_thread& t) { return t.polls && t.looked_at != activity_; }, false))
            continue;
        std::int64_t first = never;
        for (const simulated_thread* t : waiting_) first = std::min(first, t->deadline);
        if (first == never) return nullptr;
        now_ = std::max(now_, first);
        note(static_cast<std::uint64_t>(now_));
        go_on([&](const simulated_thread& t) { return t.deadline <= now_; }, true);
    }
    return nullptr;
}

void simulation::hand_over(simulated_thread& from, bool ended) noexcept {
    const bool all = std::all_of(threads_.begin(), threads_.end(),
                                 [](const auto& t) { return t->now == simulated_thread::state::ended; });
    if (all) return finish();
    simulated_thread* const to = next();
    if (!to) {
        everybody_waits();
        if (ended) return;
        for (;;) real::sleep_on(from.turn); // for good: nobody will hand it a turn
    }
    note(to->number);
    if (to == &from) return;
    ++switches_;
    from.turn.store(0, std::memory_order_relaxed);
    to->turn.store(1, std::memory_order_release);
    real::wake(to->turn);
    if (!ended) real::sleep_on(from.turn);
}

void simulation::everybody_waits() noexcept {
    try {
        std::string text = threads_.front()->now == simulated_thread::state::ended
                               ? "the function has returned, but not every thread ends:"
                               : "everybody waits, and nobody ever goes on:";
        for (const auto& t : threads_) {
            if (t->now == simulated_thread::state::ended) continue;
            text += "\n  " + name_of(*t) + " " + t->how;
            for (const auto& other : threads_)
                if (t->on == other.get()) text += ": " + name_of(*other);
            for (const held& h : held_)
                if (h.mutex == t->on) text += " that " + name_of(*h.by) + " holds";
        }
        text += "\n" + live_tasks();
        failure_ = std::move(text);
    } catch (...) {
        failure_ = "everybody waits, and there is no memory to say more";
    }
    finish();
}

void simulation::finish() noexcept {
    over_.store(1, std::memory_order_release);
    real::wake(over_);
}

run_result simulation::run() {
    static std::mutex one_at_a_time;
    const std::lock_guard guard{one_at_a_time};
    detail::forget_thread_numbers();
    detail::calls_by_name.fetch_add(1);
    simulated_thread& first = add();
    const auto main = [](void* self) -> void* {
        simulation& s = *static_cast<simulation*>(self);
        ::pthread_setname_np(::pthread_self(), "main");
        try {
            s.fn_();
        } catch (const std::exception& e) {
            const inside ours;
            s.failure_ = e.what();
            if (s.failure_.empty()) s.failure_ = "an exception";
        } catch (...) {
            const inside ours;
            s.failure_ = "an exception that is no std::exception";
        }
        return nullptr;
    };
    auto* const s = new start{this, &first, main, this};
    pthread_t handle{};
    if (const int error = real::create(&handle, nullptr, &thread_main, s)) {
        delete s;
        throw std::system_error{error, std::generic_category(), "testing::run: cannot start a thread"};
    }
    first.turn.store(1, std::memory_order_release);
    real::wake(first.turn);
    real::sleep_on(over_);
    const bool ended = first.now == simulated_thread::state::ended;
    if (ended)
        ::pthread_join(handle, nullptr);
    else
        ::pthread_detach(handle);
    detail::calls_by_name.fetch_sub(1);
    run_result r;
    r.seed_ = seed_;
    r.trace_ = trace_;
    r.switches_ = switches_;
    r.elapsed_ = detail::nanoseconds{now_ - beginning};
    if (!failure_.empty()) r.failure_ = "testing::run, seed " + std::to_string(seed_) + ": " + failure_;
    return r;
}

run_result run(std::uint64_t seed, const std::function<void()>& fn) {
    if (!fn) throw std::invalid_argument{"testing::run: no function"};
    if (names_are_taken)
        throw std::logic_error{
            "testing::run: not under a sanitizer, which has the names of the system's calls itself"};
    if (simulation::here()) throw std::logic_error{"testing::run: called within a run"};
    // Kept if its threads wait for ever: they stand on it.
    auto s = std::make_unique<simulation>(seed, fn);
    run_result r = s->run();
    if (!r) static_cast<void>(s.release());
    return r;
}

} // namespace plait::testing
