// SPDX-License-Identifier: Apache-2.0
// Who goes on, and what a choice is made of.
#include "testing/execution.hpp"

namespace plait::testing::model {

namespace {

// A thread that polls without saying so (see pause) has to give way in the end.
constexpr std::uint32_t longest_streak = 64;

} // namespace

bool execution::ready(const thread& t) const noexcept {
    const step& s = *t.next;
    switch (s.kind) {
    case step_kind::lock:
        return *static_cast<const int*>(s.also) < 0;
    case step_kind::asleep:
        return t.woken || s.bounded;
    case step_kind::join:
        return threads_[static_cast<std::size_t>(s.thread)]->finished;
    case step_kind::pause:
        return t.granted || changes_ != t.paused_at;
    default:
        return true;
    }
}

thread_set execution::enabled_threads() {
    thread_set enabled = 0;
    for (std::size_t i = 0; i < threads_used_; ++i) {
        const thread& t = *threads_[i];
        if (!t.finished && t.next && ready(t)) enabled |= thread_set{1} << i;
    }
    if (enabled != 0) return enabled;
    // Only those who poll are left: once more each, to find what they have not looked at yet.
    for (std::size_t i = 0; i < threads_used_; ++i) {
        thread& t = *threads_[i];
        if (t.finished || !t.next || t.next->kind != step_kind::pause || t.granted_at == changes_) continue;
        t.granted = true;
        t.granted_at = changes_;
        enabled |= thread_set{1} << i;
    }
    return enabled;
}

bool execution::independent(const step& a, const step& b) noexcept {
    if (a.everything || b.everything) return false;
    const bool together = a.what == b.what || (a.also && a.also == b.what) || (b.also && b.also == a.what) ||
                          (a.also && a.also == b.also);
    return !together || (!a.writes && !b.writes);
}

thread& execution::pick() {
    const thread_set enabled = enabled_threads();
    if (enabled == 0) deadlock();
    const int chosen = choose_thread(enabled);
    thread& t = *threads_[static_cast<std::size_t>(chosen)];
    // `now_` has no next step if it has ended: whoever goes on then has not taken its turn.
    const bool could_go_on = !now_->finished && (enabled >> now_->id & 1) != 0;
    if (&t == now_) {
        ++streak_;
    } else {
        if (could_go_on && now_->next->kind != step_kind::pause && streak_ < longest_streak) ++preemptions_;
        streak_ = 0;
    }
    if (redundant_) asleep_ = 0;
    if (asleep_ != 0)
        for (std::size_t i = 0; i < threads_used_; ++i)
            if ((asleep_ >> i & 1) != 0 && !independent(*threads_[i]->next, *t.next))
                asleep_ &= ~(thread_set{1} << i);
    return t;
}

int execution::choose_thread(thread_set enabled) {
    const thread_set me = now_->finished ? 0 : (thread_set{1} << now_->id) & enabled;
    const int first = me != 0 ? now_->id : std::countr_zero(enabled);
    const bool all = limits_.preemptions < 0 && !limits_.random; // sleep sets are for an unbounded search
    if (std::has_single_bit(enabled)) {
        if (all && (asleep_ & enabled) != 0) redundant_ = true;
        return first;
    }
    if (redundant_) return first;
    if (path_->given()) {
        const choice& c = path_->path[path_->depth++];
        if (!c.of_thread || (enabled >> c.chosen & 1) == 0)
            fail("the test is not deterministic: the same choices lead elsewhere than before. It must not "
                 "depend on time, "
                 "addresses, random numbers, or anything that a run leaves behind",
                 {});
        asleep_ = all ? c.asleep : 0;
        return c.chosen;
    }
    thread_set candidates = enabled & ~asleep_;
    if (candidates == 0) {
        redundant_ = true;
        return first;
    }
    int chosen = (candidates >> first & 1) != 0 ? first : std::countr_zero(candidates);
    const bool tired = me != 0 && streak_ >= longest_streak;
    if (tired && (candidates & ~me) != 0) {
        candidates &= ~me;
        chosen = std::countr_zero(candidates);
    }
    if (limits_.random) {
        if (!tired)
            for (const std::uint32_t at : change_points_)
                if (at == steps_ && me != 0)
                    priority_[static_cast<std::size_t>(now_->id)] = --lowest_priority_;
        if (me != 0 && now_->next->kind == step_kind::pause)
            priority_[static_cast<std::size_t>(now_->id)] = --lowest_priority_;
        for (std::size_t i = 0; i < threads_used_; ++i)
            if ((candidates >> i & 1) != 0 && priority_[i] > priority_[static_cast<std::size_t>(chosen)])
                chosen = static_cast<int>(i);
        candidates = 0;
    } else if (!tired && me != 0 && now_->next->kind != step_kind::pause && limits_.preemptions >= 0 &&
               preemptions_ >= limits_.preemptions) {
        candidates = me;
        chosen = first;
    }
    path_->path.push_back(
        {true, static_cast<std::uint8_t>(chosen), 0, candidates & ~(thread_set{1} << chosen), asleep_});
    ++path_->depth;
    return chosen;
}

unsigned execution::choose_value(unsigned values) {
    if (values == 1 || redundant_) return 0;
    if (path_->given()) {
        choice& c = path_->path[path_->depth++];
        if (c.of_thread || c.chosen >= values)
            fail("the test is not deterministic: the same choices lead elsewhere than before. It must not "
                 "depend on time, "
                 "addresses, random numbers, or anything that a run leaves behind",
                 {});
        return c.chosen;
    }
    unsigned chosen = 0;
    if (limits_.random && random_() % 2 == 0) chosen = static_cast<unsigned>(random_() % values);
    path_->path.push_back({false, static_cast<std::uint8_t>(chosen),
                           static_cast<std::uint8_t>(limits_.random ? 0 : values), 0, 0});
    ++path_->depth;
    return chosen;
}

} // namespace plait::testing::model
