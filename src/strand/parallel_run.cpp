// SPDX-License-Identifier: Apache-2.0
#include "strand/parallel_run.hpp"

#include "sys/futex.hpp"

#include <algorithm>
#include <plait/cancelled.hpp>
#include <plait/detail/state.hpp>
#include <plait/executor.hpp>
#include <plait/parallel.hpp>
#include <utility>

namespace plait::detail {
namespace {

// A piece that took less is followed by one of twice the size; more, of half.
constexpr std::int64_t short_piece = 10'000, long_piece = 40'000; // ns
constexpr std::int64_t turn = 1'000'000; // on a loop, before its other tasks have theirs

} // namespace

parallel_run::parallel_run(const parallel_plan& plan, std::size_t participants, piece_function piece)
    : plan_{plan},
      unit_{plan.items == 0 ? 1 : ((plan.items - 1) >> 31) + 1},
      count_{std::max<std::size_t>(participants, 1)},
      piece_{piece},
      caller_scope_{task_scope()},
      caller_{&current()},
      participants_{new participant[count_]},
      able_{static_cast<std::uint32_t>(count_)} {
    const std::uint64_t units = (plan.items + unit_ - 1) / unit_;
    for (std::size_t i = 0; i < count_; ++i) {
        participant& p = participants_[i];
        p.run = this;
        p.unstarted_ = p.posted_ = true;
        p.priority_ = static_cast<unsigned char>(priority::normal);
        p.range.store(range::packed(static_cast<std::uint32_t>(units * i / count_),
                                    static_cast<std::uint32_t>(units * (i + 1) / count_)),
                      order::relaxed);
        if (!caller_scope_) continue;
        p.scope.deadline = caller_scope_->deadline;
        p.scope.attempt = caller_scope_->attempt;
    }
}

void parallel_run::release_owner() noexcept {
    // acq_rel: the last one sees what the others have done to it.
    if (owners_.fetch_sub(1, order::acq_rel) == 1) delete this;
}

void parallel_run::begin(in_process_executor& ex, worker& first, bool caller_takes_part) noexcept {
    const auto post = [this](participant& p, worker& at) {
        p.at = &at;
        owners_.fetch_add(1, order::relaxed); // the caller has its own meanwhile; the post publishes both
        at.post(p);
    };
    if (caller_takes_part)
        participants_[0].at = &first;
    else
        post(participants_[0], first);
    for (std::size_t i = 1; i < count_; ++i) {
        if (state_.load(order::relaxed) & closed_bit) return; // over already; seen later, it costs a post
        try {
            post(participants_[i], ex.admit());
        } catch (...) { // shut down meanwhile: the others do its part
            unable(std::current_exception());
        }
    }
}

void parallel_run::run_posted(work& w) noexcept {
    auto& me = static_cast<participant&>(w);
    parallel_run& run = *me.run;
    worker& at = *me.at;
    if (me.unstarted_ && at.refusing()) {
        run.unable(at.refusal());
    } else if (run.enter()) {
        // A serial is the caller's own thread, and has nobody else to give way to.
        const bool goes_on = run.take_part(me, at.single_threaded() && at.driven());
        run.leave();
        if (goes_on) { // its range stays where thieves find it
            me.unstarted_ = false;
            return at.post(me);
        }
    }
    run.release_owner();
    at.leave();
}

void parallel_run::take_part_here() noexcept {
    if (!enter()) return;
    take_part(participants_[0], false);
    last_out_ = count_out();
}

void parallel_run::wait() noexcept {
    if (!last_out_) over_.sleep();
}

bool parallel_run::enter() noexcept {
    std::uint32_t state = state_.load(order::relaxed); // an old one is noticed by the exchange
    do {
        if (state & closed_bit) return false;
    } while (!state_.compare_exchange(state, state + one, order::acq_rel, order::relaxed));
    return true;
}

// True: that was the last one, and it is over.
bool parallel_run::count_out() noexcept {
    // acq_rel: the last one, and through over_ the caller, sees what all have done.
    const std::uint32_t before = state_.fetch_sub(one, order::acq_rel);
    return (before & closed_bit) && before / one == 1;
}

void parallel_run::leave() noexcept {
    if (count_out()) over_.wake();
}

// By somebody inside: the last one out wakes the caller, who learns by that what was done before, too.
// release: pairs with the load in do_pieces().
void parallel_run::close(std::uint32_t bits) noexcept { state_.fetch_or(closed_bit | bits, order::acq_rel); }

bool parallel_run::take_part(participant& me, bool in_turns) noexcept {
    execution& e = current(); // functions stay on their thread
    context* const outer = std::exchange(e.scope, &me.scope);
    const bool borrowed = &e == caller_ && caller_scope_;
    me.scope.home = me.at;
    if (borrowed) {
        me.scope.node = caller_scope_->node;
        me.scope.overdue_at = caller_scope_->overdue_at;
    } else {
        me.scope.node =
            &new_task_node(plan_.name, {}, caller_scope_ ? caller_scope_->node->id.load(order::relaxed) : 0);
        set_running(*me.scope.node, e);
    }
    const bool goes_on = do_pieces(me, in_turns);
    e.scope = outer;
    if (!borrowed) free_task_node(*me.scope.node);
    return goes_on;
}

// True: its turn is over, but not its work.
bool parallel_run::do_pieces(participant& me, bool in_turns) noexcept {
    const bool timed = plan_.dealing == parallel_plan::by_time || in_turns;
    const auto number = static_cast<std::size_t>(&me - participants_.get());
    const bool watches = &current() == caller_ && caller_scope_;
    std::int64_t now = timed ? monotonic_now() : 0;
    const std::int64_t end_of_turn = now + turn;
    // acquire: pairs with close(); whoever stopped it is seen to have.
    while (!(state_.load(order::acquire) & stopped_bit)) {
        if (watches && caller_scope_->stop_due())
            break; // its time limit, which this thread keeps from firing
        const range mine = take(me);
        if (mine.size() == 0) {
            if (steal(me)) continue;
            close(0);
            break;
        }
        const std::size_t from = mine.low * unit_;
        try {
            piece_(number, from, std::min(mine.high * unit_, plan_.items));
        } catch (...) {
            fail(*me.at, std::current_exception());
            break;
        }
        if (!timed) continue;
        const std::int64_t took = monotonic_now() - now;
        now += took;
        if (took > long_piece)
            me.piece = std::max(mine.size() / 2, 1U);
        else if (took < short_piece && mine.size() >= me.piece && me.piece < 1U << 30)
            me.piece *= 2;
        if (in_turns && now >= end_of_turn) return true;
    }
    return false;
}

parallel_run::range parallel_run::take(participant& me) noexcept {
    // relaxed, here and in the exchange: the word alone says whose an item is, and what the items hold was
    // there before any participant was.
    std::uint64_t word = me.range.load(order::relaxed);
    for (;;) {
        const range r = range::unpacked(word);
        const std::uint32_t left = r.size();
        if (left == 0) return {};
        std::uint32_t n = left;
        if (plan_.dealing == parallel_plan::by_time)
            // An eighth of what is left, so that the last pieces are not the long ones; but worth the trouble.
            n = std::min(left, std::max({std::min(me.piece, left / 8), me.piece / 16, 1U}));
        else if (plan_.dealing == parallel_plan::grains)
            n = static_cast<std::uint32_t>(
                std::min<std::size_t>(std::max<std::size_t>(plan_.grain / unit_, 1), left));
        if (me.range.compare_exchange(word, range::packed(r.low + n, r.high), order::relaxed, order::relaxed))
            return {r.low, r.low + n};
    }
}

// False: nothing is left that nobody has in hand, and never will be.
bool parallel_run::steal(participant& me) noexcept {
    // relaxed: it is but to leave earlier.
    for (unsigned round = 0; !(state_.load(order::relaxed) & stopped_bit); ++round) {
        // acquire: with a theft that is counted as over we see the range that it stored.
        const std::uint64_t thefts = thefts_.load(order::acquire);
        participant* richest = nullptr;
        range most;
        for (std::size_t i = 0; i < count_; ++i) {
            // acquire: pairs with the releases of a thief's exchange and store below. Who sees a range that a
            // theft has shortened, or filled, sees in the second look at thefts_ that it was under way.
            const std::uint64_t word = participants_[i].range.load(order::acquire);
            const range r = range::unpacked(word);
            if (r.size() <= most.size()) continue;
            richest = &participants_[i];
            most = r;
        }
        if (richest) {
            std::uint32_t keep = most.size() / 2;
            if (plan_.dealing == parallel_plan::equal_parts) {
                keep = 0;
            } else if (plan_.dealing == parallel_plan::grains) {
                const auto grain = static_cast<std::uint32_t>(
                    std::min<std::size_t>(std::max<std::size_t>(plan_.grain / unit_, 1), most.size()));
                keep = (most.size() + grain - 1) / grain / 2 * grain;
            }
            const std::uint32_t middle = most.low + keep;
            std::uint64_t expected = range::packed(most.low, most.high);
            // acq_rel: what a thief has seen of other thefts came before its own for everybody else, too.
            // Else one whose range was emptied by a theft could count a theft of its own as over before that
            // one as under way.
            thefts_.fetch_add(theft_under_way, order::acq_rel);
            // release, as in the store: the look at the ranges above.
            const bool won = richest->range.compare_exchange(expected, range::packed(most.low, middle),
                                                             order::acq_rel, order::relaxed);
            if (won) me.range.store(range::packed(middle, most.high), order::release);
            // release: pairs with the first look at thefts_: with the theft's end its range is seen.
            thefts_.fetch_add(won ? theft - theft_under_way : 0 - theft_under_way, order::acq_rel);
            if (!won) continue;                    // somebody else has: that is progress
            me.piece = std::max(me.piece / 8, 1U); // learnt on other items
            return true;
        }
        // The loads of the ranges keep this behind them, since they acquire.
        if (thefts % theft == 0 && thefts_.load(order::acquire) == thefts) return false;
        system_policy::pause(round); // between those two stores of a thief
    }
    return false;
}

void parallel_run::stop_scopes() noexcept {
    for (std::size_t i = 0; i < count_; ++i) participants_[i].scope.stop();
}

void parallel_run::fail(worker& at, const std::exception_ptr& error) noexcept {
    if (failed_.exchange(1, order::acq_rel) != 0) {
        if (!is_cancellation(error)) at.unhandled(error, plan_.name);
        return;
    }
    failure_ = error; // the caller reads it after we have left
    close(stopped_bit);
    stop_scopes();
}

// A participant that its executor refuses. If all are, nobody else is left to say so. Inside while it writes:
// the caller may be cancelled just now, and must not be gone.
void parallel_run::unable(const std::exception_ptr& reason) noexcept {
    if (able_.fetch_sub(1, order::acq_rel) != 1 || !enter()) return;
    if (failed_.exchange(1, order::acq_rel) == 0) failure_ = reason;
    close(stopped_bit);
    leave();
}

void parallel_run::cancel() noexcept {
    std::uint32_t state = state_.load(order::relaxed); // as in enter()
    while (!(state & closed_bit)) {
        // acquire: if nobody is inside we wake the caller, who sees what those did who were. release: as in
        // close().
        if (!state_.compare_exchange(state, state | closed_bit | stopped_bit | cancelled_bit, order::acq_rel,
                                     order::relaxed))
            continue;
        if (state / one == 0) over_.wake();
        break;
    }
    stop_scopes(); // also of those who do the last items
}

void parallel_run::rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
    // relaxed, and of the ranges: wait() has seen all that was done inside.
    if (!(state_.load(order::relaxed) & cancelled_bit)) return;
    // What is not in a word has been done: then there is a result, and it came first.
    for (std::size_t i = 0; i < count_; ++i)
        if (range::unpacked(participants_[i].range.load(order::relaxed)).size() != 0) throw cancelled{};
}

} // namespace plait::detail
