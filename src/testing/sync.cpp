// SPDX-License-Identifier: Apache-2.0
// Locks, conditions, futexes, threads, and memory that is not atomic.
#include "testing/execution.hpp"

#include <exception>

namespace plait::testing::model {

/// The present exploration; there is none: the program is wrong.
static execution& here() noexcept {
    execution* const e = execution::here();
    if (!e) std::terminate();
    return *e;
}

static step on(step_kind kind, const void* what, const site& where) {
    return {kind, what, nullptr, true, false, false, nullptr, -1, where};
}

/// Between runs nobody holds it.
struct inside {
    static void refresh(lock_word& l, const execution& e) noexcept {
        if (l.run_ == e.id()) return;
        l.run_ = e.id();
        l.owner_ = -1;
        l.published_ = nullptr;
    }
    static void take(lock_word& l, execution& e) {
        l.owner_ = e.current_thread();
        e.acquire(l.published_);
    }
    static void give(lock_word& l, execution& e, const site& where) {
        if (l.owner_ != e.current_thread())
            e.fail("unlocks " + e.name_of(&l) + ", which it does not hold", where);
        l.owner_ = -1;
        l.published_ = e.publish();
        e.changed();
    }
    static void lock(lock_word& l, execution& e, const site& where) {
        step s = on(step_kind::lock, &l, where);
        s.also = &l.owner_;
        e.take_turn(s);
        take(l, e);
        if (e.recording) e.done(s, e.name_of(&l) + ".lock()");
    }
};

lock_word::~lock_word() {
    if (execution* const e = execution::here(); e && run_ == e->id()) {
        if (owner_ >= 0) e->fail("destroys " + e->name_of(this) + ", which is locked", {});
        e->forget_waited(this, "a lock");
    }
}

void lock_word::lock(const site& where) noexcept {
    execution& e = here();
    inside::refresh(*this, e);
    inside::lock(*this, e, where);
}

bool lock_word::try_lock(const site& where) noexcept {
    execution& e = here();
    inside::refresh(*this, e);
    const step s = on(step_kind::try_lock, this, where);
    e.take_turn(s);
    const bool free = owner_ < 0;
    if (free) inside::take(*this, e);
    if (e.recording) e.done(s, e.name_of(this) + (free ? ".try_lock() took it" : ".try_lock(): it is held"));
    return free;
}

void lock_word::unlock(const site& where) noexcept {
    execution& e = here();
    inside::refresh(*this, e);
    const step s = on(step_kind::unlock, this, where);
    e.take_turn(s);
    inside::give(*this, e, where);
    if (e.recording) e.done(s, e.name_of(this) + ".unlock()");
}

condition_word::~condition_word() {
    if (execution* const e = execution::here()) e->forget_waited(this, "a condition");
}

bool condition_word::wait(lock_word& lock, bool bounded, const site& where) noexcept {
    execution& e = here();
    inside::refresh(lock, e);
    step s = on(step_kind::wait, this, where);
    s.also = &lock;
    e.take_turn(s);
    inside::give(lock, e, where);
    if (e.recording) e.done(s, e.name_of(this) + ".wait() lets go of " + e.name_of(&lock));
    step asleep = on(step_kind::asleep, this, where);
    asleep.bounded = bounded;
    const bool woken = e.sleep(asleep, this, where);
    if (e.recording) e.done(asleep, woken ? "is woken" : "has waited long enough");
    inside::lock(lock, e, where);
    return woken;
}

void condition_word::notify(unsigned most, const site& where) noexcept {
    execution& e = here();
    const step s = on(step_kind::wake, this, where);
    e.take_turn(s);
    const unsigned n = e.wake(this, most);
    if (e.recording) e.done(s, e.name_of(this) + ".notify(): wakes " + std::to_string(n));
}

int futex_wait(const std::uint32_t* word, std::uint32_t expected, bool bounded, const site& where) noexcept {
    execution& e = here();
    const step s = on(step_kind::wait, word, where);
    e.take_turn(s);
    const std::uint32_t found = *word; // the kernel's look: it sees what was stored last
    if (e.recording)
        e.done(s, "futex_wait(" + e.name_of(word) + ", " + e.value_text(expected, 4) + ")" +
                      (found == expected ? "" : ": it is " + e.value_text(found, 4)));
    if (found != expected) return 1;
    step asleep = on(step_kind::asleep, word, where);
    asleep.bounded = bounded;
    const bool woken = e.sleep(asleep, word, where);
    if (e.recording) e.done(asleep, woken ? "is woken" : "has waited long enough");
    return woken ? 0 : 2;
}

int futex_wake(const std::uint32_t* word, unsigned most, const site& where) noexcept {
    execution& e = here();
    const step s = on(step_kind::wake, word, where);
    e.take_turn(s);
    const unsigned n = e.wake(word, most);
    if (e.recording) e.done(s, "futex_wake(" + e.name_of(word) + "): wakes " + std::to_string(n));
    return static_cast<int>(n);
}

void pause(const site& where) noexcept {
    if (execution* const e = execution::here()) e->pause(where);
}

void plain_memory::read(const site& where) const noexcept {
    if (execution* const e = execution::here()) e->touch_plain(*this, false, where);
}
void plain_memory::write(const site& where) noexcept {
    if (execution* const e = execution::here()) e->touch_plain(*this, true, where);
}

unsigned choose(unsigned n, const site& where) noexcept { return here().choose(n, where); }

int start(const char* name, thread_body body) { return here().start(name, body); }
void join(int thread, const site& where) noexcept { here().join(thread, where); }
void detach(int thread) noexcept { here().detach(thread); }
int this_thread() noexcept {
    const execution* const e = execution::here();
    return e ? e->current_thread() : -1;
}
void fail(const char* what, const site& where) noexcept { here().fail(what, where); }
void label(const void* object, std::size_t size, const char* name) {
    if (execution* const e = execution::here()) e->label(object, size, name);
}

// No step: it commutes with all that does not touch the same memory, and what does is told apart by what happens before.
void execution::touch_plain(const plain_memory& m, bool writes, const site& where) {
    if (m.run_ != run_id_) {
        m.run_ = run_id_;
        m.written_at_ = 0;
        for (std::uint32_t& at : m.read_at_) at = 0;
    }
    const auto me = static_cast<std::uint32_t>(now_->id);
    if (recording)
        events.push_back({now_->id, (writes ? "writes " : "reads ") + name_of(&m, "memory"), where});
    const auto race = [&](std::uint32_t other, const char* what) {
        fail("a data race on " + name_of(&m, "memory") + ": '" + now_->name + "' " +
                 (writes ? "writes" : "reads") + " what '" + threads_[other]->name + "' " + what +
                 ", and neither happens before the other",
             where);
    };
    if (m.written_at_ != 0 && m.written_by_ != me && now_->has_seen[m.written_by_] < m.written_at_)
        race(m.written_by_, "wrote");
    // Its next step's number: what a release publishes from there on has it.
    if (!writes) {
        m.read_at_[me] = now_->clock + 1;
        return;
    }
    for (std::uint32_t i = 0; i < threads_used_; ++i)
        if (i != me && now_->has_seen[i] < m.read_at_[i]) race(i, "has read");
    m.written_by_ = me;
    m.written_at_ = now_->clock + 1;
}

} // namespace plait::testing::model
