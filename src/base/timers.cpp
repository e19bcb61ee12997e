// SPDX-License-Identifier: Apache-2.0
#include "base/timers.hpp"

#include <algorithm>
#include <bit>

namespace plait::detail {

std::uint64_t timers::tick_of(time_point t) noexcept {
    const auto ns = t.time_since_epoch().count();
    return ns <= 0 ? 0 : static_cast<std::uint64_t>(ns) >> tick_bits;
}

void timers::add(timer& t) noexcept {
    t.sequence_ = sequence_++;
    place(t);
    ++count_;
}

void timers::place(timer& t) noexcept {
    const std::uint64_t tick = tick_of(t.deadline_);
    if (tick <= tick_) {
        t.place_ = in_heap;
        return near_.push(t);
    }
    // The level is that of the highest digit (base 64) in which the tick differs from now.
    const auto level = static_cast<unsigned>(std::bit_width(tick ^ tick_) - 1) / slot_bits;
    const auto slot = static_cast<unsigned>(tick >> (level * slot_bits)) % slots;
    const unsigned place = level * slots + slot;
    t.place_ = place;
    t.previous_ = nullptr;
    t.next_ = wheel_[place];
    if (t.next_) t.next_->previous_ = &t;
    wheel_[place] = &t;
    occupied_[level] |= std::uint64_t{1} << slot;
}

void timers::remove(timer& t) noexcept {
    if (!t.armed()) return;
    --count_;
    if (t.place_ == in_heap) {
        near_.remove(t);
    } else {
        (t.previous_ ? t.previous_->next_ : wheel_[t.place_]) = t.next_;
        if (t.next_) t.next_->previous_ = t.previous_;
        if (!wheel_[t.place_]) occupied_[t.place_ / slots] &= ~(std::uint64_t{1} << (t.place_ % slots));
    }
    t.place_ = timer::nowhere;
}

// The first slot behind the wheel's time. A lower level's slots all come before a higher level's.
bool timers::next_slot(unsigned& level, unsigned& slot, std::uint64_t& tick) const noexcept {
    for (level = 0; level < levels; ++level) {
        if (!occupied_[level]) continue;
        // Slots at or below the current digit are empty here: they would have gone to a higher level.
        slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
        const unsigned shift = level * slot_bits;
        const std::uint64_t above =
            shift + slot_bits >= 64 ? 0 : (tick_ >> (shift + slot_bits)) << (shift + slot_bits);
        tick = above | (std::uint64_t{slot} << shift);
        return true;
    }
    return false;
}

// Moves the wheel's time on to `tick`, slot by slot: level 0 into the heap, higher ones down a level.
void timers::advance(std::uint64_t tick) noexcept {
    unsigned level = 0;
    unsigned slot = 0;
    std::uint64_t at = 0;
    while (next_slot(level, slot, at) && at <= tick) {
        tick_ = at;
        timer* t = wheel_[level * slots + slot];
        wheel_[level * slots + slot] = nullptr;
        occupied_[level] &= ~(std::uint64_t{1} << slot);
        while (t) {
            timer* const next = t->next_;
            place(*t);
            t = next;
        }
    }
    if (tick > tick_) tick_ = tick;
}

bool timers::fire_due(time_point now) noexcept {
    if (count_ == 0) {
        tick_ = std::max(tick_, tick_of(now));
        return false;
    }
    advance(tick_of(now));
    bool fired = false;
    while (near_.first() && near_.first()->deadline_ <= now) {
        timer& t = *near_.first();
        remove(t);
        t.fire_(t);
        fired = true;
    }
    return fired;
}

time_point timers::next() const noexcept {
    if (count_ == 0) return time_point::max();
    if (near_.first()) return near_.first()->deadline_;
    unsigned level = 0;
    unsigned slot = 0;
    std::uint64_t tick = 0;
    if (!next_slot(level, slot, tick)) return time_point::max();
    return time_point{nanoseconds{static_cast<std::int64_t>(tick << tick_bits)}};
}

} // namespace plait::detail
