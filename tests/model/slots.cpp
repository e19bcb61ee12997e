// SPDX-License-Identifier: Apache-2.0
// The slots between a program and one of its workers, which may die between any two instructions: every task ends exactly
// once, nothing is believed that was not finished, nobody sleeps while there is something to do.
#include "support.hpp"

#include "process/slot_state.hpp"
#include "sys/futex.hpp"

#include <array>

using plait::detail::order;
using plait::detail::slot_phase;
using plait::testing::check;
using plait::testing::choose;
using plait::testing::label;
using plait::testing::thread;

namespace {

using slot_state = plait::detail::slot_state;
using park_word = plait::detail::park_word;
using listener_word = plait::detail::listener_word;
using who = listener_word::who;

constexpr std::size_t slots = 2;

struct slot {
    slot_state state;
    payload contents;
    int runs = 0; // of the function, whoever asks
};

struct lane {
    std::array<slot, slots> at;
    park_word worker;
    listener_word parent;
    plait::detail::atomic<std::uint32_t> bell{0}; // as an eventfd: it stays rung until it is taken
    plait::detail::atomic<std::uint64_t> head{0};
    plait::detail::atomic<std::uint32_t> hold{0};
    plait::detail::atomic<std::uint32_t> stop{0};

    slot& of(std::uint64_t task) { return at[task % slots]; }
    static std::uint32_t generation(std::uint64_t task) { return static_cast<std::uint32_t>(task / slots); }

    lane() {
        label(at[0].state, "slot 0");
        label(at[1].state, "slot 1");
        label(worker, "worker's flag");
        label(parent, "listener");
        label(bell, "bell");
        label(head, "head");
        label(hold, "hold");
        label(stop, "stop");
    }
};

void tell(lane& l, who listener) {
    if (listener == who::thread) plait::detail::futex_wake(l.parent.address());
    if (listener == who::bell) {
        l.bell.store(1, order::seq_cst);
        plait::detail::futex_wake(l.bell.address());
    }
}

/// The worker's side, step by step as process_worker has them; `dies()` is asked between any two.
template <class Dies>
void serve(lane& l, Dies dies) {
    bool untold = false;
    for (std::uint64_t task = 0;; ++task) {
        slot& s = l.of(task);
        const std::uint32_t generation = lane::generation(task);
        // await_task
        for (;;) {
            const auto told = [&] {
                // First whether to stop, then the slot: what was queued before is run.
                const bool stop = l.stop.load(order::seq_cst) != 0;
                const slot_phase phase = s.state.phase_seq_cst(generation);
                if (phase == slot_phase::queued || phase == slot_phase::withdrawn) return 1;
                return stop ? -1 : 0;
            };
            if (dies()) return;
            int now = told();
            if (now == 0) {
                l.worker.announce();
                if (dies()) return;
                now = told();
                if (now == 0 && untold) tell(l, l.parent.take_any());
                if (now == 0) untold = false;
                if (now == 0) plait::detail::futex_wait(l.worker.address(), park_word::parked);
                l.worker.retract();
            }
            if (now < 0) return;
            if (now > 0) break;
        }
        if (dies()) return;
        if (s.state.claim(generation)) {
            if (dies()) return;
            ++s.runs;
            check(s.contents.value() == static_cast<int>(task), "arguments that were not finished");
            s.contents = payload{100 + static_cast<int>(task)};
            if (dies()) return;
            s.state.finish(generation);
        }
        if (dies()) return;
        l.head.store(task + 1, order::seq_cst);
        while (l.hold.load(order::seq_cst) != 0) { // respect_hold
            if (dies()) return;
            plait::testing::yield(); // asleep there, it dies in its sleep
        }
        if (dies()) return;
        tell(l, l.parent.take(task, untold));
    }
}

bool lives() { return false; }

void publish(lane& l, std::uint64_t task) {
    slot& s = l.of(task);
    s.contents = payload{static_cast<int>(task)};
    s.state.publish(lane::generation(task));
    if (l.worker.take()) plait::detail::futex_wake(l.worker.address());
}

void end(lane& l) {
    l.stop.store(1, order::seq_cst);
    if (l.worker.take()) plait::detail::futex_wake(l.worker.address());
}

/// Until the slot is done, as the supervisor does: announce, look again, sleep.
void await_done(lane& l, std::uint64_t task) {
    slot& s = l.of(task);
    const std::uint32_t generation = lane::generation(task);
    while (s.state.phase(generation) != slot_phase::done) {
        l.parent.listen(who::bell);
        if (s.state.phase_seq_cst(generation) != slot_phase::done)
            plait::detail::futex_wait(l.bell.address(), 0);
        l.bell.store(0, order::seq_cst);
        l.parent.retract();
    }
    check(s.contents.value() == 100 + static_cast<int>(task), "a result that was not finished");
}

/// What the parent's threads know of a lane besides, under their lock.
struct books {
    plait::testing::mutex lock;
    bool attended = false;
    bool supervisor_sleeps = false;

    // Lock held, not attended.
    void give_back(lane& l) const {
        if (supervisor_sleeps)
            l.parent.listen(who::bell);
        else
            l.parent.retract();
    }
};

/// A thread that waits for this one task: it listens in the supervisor's place, is not woken for what comes before, gives
/// the word back, and looks at what the supervisor was not told of meanwhile.
void attend(lane& l, books& b, std::uint64_t task, std::uint64_t other) {
    slot& s = l.of(task);
    const std::uint32_t generation = lane::generation(task);
    for (;;) {
        std::uint32_t word = 0;
        {
            const std::lock_guard guard{b.lock};
            if (b.attended) {
                b.attended = false;
                b.give_back(l);
                if (l.of(other).state.phase_seq_cst(lane::generation(other)) == slot_phase::done)
                    tell(l, who::bell);
            }
            if (s.state.phase_seq_cst(generation) == slot_phase::done) break;
            b.attended = true;
            word = l.parent.listen_from(who::thread, task);
        }
        if (s.state.phase_seq_cst(generation) != slot_phase::done)
            plait::detail::futex_wait(l.parent.address(), word);
    }
    check(s.contents.value() == 100 + static_cast<int>(task), "a result that was not finished");
}

void supervise(lane& l, books& b, std::uint64_t task) {
    slot& s = l.of(task);
    const std::uint32_t generation = lane::generation(task);
    while (s.state.phase_seq_cst(generation) != slot_phase::done) {
        {
            const std::lock_guard guard{b.lock};
            b.supervisor_sleeps = true;
            if (!b.attended) b.give_back(l);
        }
        if (s.state.phase_seq_cst(generation) != slot_phase::done)
            plait::detail::futex_wait(l.bell.address(), 0);
        l.bell.store(0, order::seq_cst);
        const std::lock_guard guard{b.lock};
        b.supervisor_sleeps = false;
        if (!b.attended) b.give_back(l);
    }
}

TEST(Model, Slots_AWaiterListensInTheSupervisorsPlace) {
    explored("slots: a thread waits for one task, the supervisor for another", [] {
        lane l;
        books b;
        const std::uint64_t first = choose(2) == 1 ? 1 : 0; // whose task comes first
        thread worker{"worker", [&l] { serve(l, lives); }};
        publish(l, 0);
        publish(l, 1);
        thread supervisor{"supervisor", [&] { supervise(l, b, 1 - first); }};
        attend(l, b, first, 1 - first);
        supervisor.join();
        end(l);
        worker.join();
    });
}

TEST(Model, Slots_WhatIsNotWorthAWakeUpIsToldBeforeTheWorkerSleeps) {
    explored("slots: a waiter that wants to be told later than there is anything to tell", [] {
        lane l;
        thread worker{"worker", [&l] { serve(l, lives); }};
        publish(l, 0);
        while (l.at[0].state.phase_seq_cst(0) != slot_phase::done) {
            const std::uint32_t word = l.parent.listen_from(who::thread, 1); // there is no such task
            if (l.at[0].state.phase_seq_cst(0) != slot_phase::done)
                plait::detail::futex_wait(l.parent.address(), word);
            l.parent.retract();
        }
        end(l);
        worker.join();
    });
}

TEST(Model, Slots_TasksComeAndGo) {
    explored("slots: three tasks through two slots", [] {
        lane l;
        thread worker{"worker", [&l] { serve(l, lives); }};
        publish(l, 0);
        publish(l, 1);
        await_done(l, 0);
        // The guard: only when the worker is past it.
        while (l.head.load(order::acquire) < 1) plait::testing::yield();
        l.of(0).state.recycle(lane::generation(0));
        publish(l, 2);
        await_done(l, 1);
        await_done(l, 2);
        end(l);
        worker.join();
        check(l.at[0].runs == 2 && l.at[1].runs == 1);
    });
}

TEST(Model, Slots_WithdrawnOrRunButNotBoth) {
    explored("slots: withdraw against claim", [] {
        lane l;
        thread worker{"worker", [&l] { serve(l, lives); }};
        publish(l, 0);
        publish(l, 1);
        const bool withdrawn = l.of(1).state.withdraw(0);
        await_done(l, 0);
        if (!withdrawn) await_done(l, 1);
        end(l);
        worker.join();
        check(l.at[1].runs == (withdrawn ? 0 : 1));
    });
}

TEST(Model, Slots_DeathAtAnyStep) {
    explored("slots: submit, take, finish, die at any step, cancel, retry", [] {
        lane l;
        bool dead = false;
        thread worker{"worker", [&] {
                          serve(l, [&dead] {
                              if (!dead) dead = choose(2) == 1;
                              return dead;
                          });
                      }};
        publish(l, 0);
        publish(l, 1);
        const bool cancelled = choose(2) == 1 && l.of(1).state.withdraw(0);
        end(l);
        worker.join(); // death is certain: its pidfd is readable
        // As the burial does.
        int ended = 0;
        int held = 0;
        for (std::uint64_t task = 0; task < slots; ++task) {
            slot& s = l.of(task);
            switch (s.state.phase_seq_cst(0)) {
            case slot_phase::done:
                check(s.contents.value() == 100 + static_cast<int>(task), "half a result");
                check(s.runs == 1);
                ++ended;
                break;
            case slot_phase::running: // held: lost, or once more on another lane
                check(dead, "a living worker left a task");
                check(++held == 1, "a worker held two tasks");
                check(s.runs <= 1);
                s.state.bury(0);
                check(!s.state.claim(0) && !s.state.withdraw(0));
                ++ended;
                break;
            case slot_phase::queued: // moves to another lane, no attempt counted
                check(dead, "a living worker left a task");
                check(s.runs == 0, "a task that has run counts as not begun");
                check(s.state.withdraw(0));
                ++ended;
                break;
            case slot_phase::withdrawn:
                check(cancelled && task == 1 && s.runs == 0, "a cancelled task ran");
                ++ended;
                break;
            default:
                check(false, "a slot in no phase that is one");
            }
        }
        check(ended == 2, "a task did not end once");
    });
}

TEST(Model, Slots_AKillHitsOnlyTheTaskThatItIsMeantFor) {
    explored("slots: kill one task by hold", [] {
        lane l;
        plait::testing::atomic<bool> killed{false};
        thread worker{"worker", [&] { serve(l, [&killed] { return killed.load(); }); }};
        publish(l, 0);
        publish(l, 1);
        // cancel(kill) of task 0.
        l.hold.store(1, order::seq_cst);
        const bool kills = l.of(0).state.phase_seq_cst(0) == slot_phase::running;
        if (kills) {
            killed.store(true);
        } else {
            l.hold.store(0, order::seq_cst);
        }
        end(l);
        worker.join();
        if (kills) check(l.at[1].runs == 0, "the next task was hit");
    });
}

} // namespace
