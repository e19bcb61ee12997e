// SPDX-License-Identifier: Apache-2.0
#include "strand/post_lane.hpp"

#include <algorithm>

namespace plait::detail {

slot_chunk::range slot_chunk::claim(std::uint32_t most, std::uint32_t shares) noexcept {
    std::uint64_t head = head_.load(order::acquire);
    // seq_cst: for a thread that is about to sleep this is its last look; see put().
    const std::uint64_t tail = tail_.load(order::seq_cst);
    if ((head ^ tail) > slot_mask || head >= tail) return {};
    const auto ready = static_cast<std::uint32_t>(tail - head);
    const std::uint32_t n = std::clamp(ready / shares, 1U, most);
    if (!head_.compare_exchange(head, head + n, order::acq_rel, order::relaxed)) return {};
    const auto begin = static_cast<std::uint32_t>(head & slot_mask);
    return {begin, begin + n, ready != n};
}

bool slot_chunk::empty() const noexcept {
    const std::uint64_t head = head_.load(order::acquire);
    return head >= tail_.load(order::seq_cst);
}

slot_chunk& spare_chunks::take() {
    slot_chunk* c = nullptr;
    {
        const spin_guard guard{lock_};
        if (first_) {
            c = std::exchange(first_, first_->spare_next);
            --count_;
        }
    }
    if (!c) {
        auto made = std::make_unique<slot_chunk>();
        c = made.get();
        const spin_guard guard{lock_};
        all_.push_back(std::move(made));
    }
    try {
        c->open();
    } catch (...) {
        give(*c);
        throw;
    }
    return *c;
}

void spare_chunks::give(slot_chunk& c) noexcept {
    const spin_guard guard{lock_};
    if (count_ >= most_open) c.close();
    c.spare_next = std::exchange(first_, &c);
    ++count_;
}

// There is nothing left of it. Told of once for a claim, not for every slot.
bool slot_claim::give_up(spare_chunks& spares) noexcept {
    if (const std::uint32_t n = std::exchange(read_, 0); n != 0 && chunk_->done(n)) spares.give(*chunk_);
    return false;
}

bool slot_claim::steal_into(slot_claim& mine) noexcept {
    std::uint64_t word = word_.load(order::seq_cst);
    for (;;) {
        const std::uint32_t begin = begin_of(word);
        const std::uint32_t end = end_of(word);
        if (begin == end) return false;
        const std::uint32_t middle = begin + (end - begin + 1) / 2;
        slot_chunk& c = chunk_of(word);
        if (!word_.compare_exchange(word, pack(c, middle, end), order::acq_rel, order::relaxed)) continue;
        mine.set(c, begin, middle);
        return true;
    }
}

// Under lock_.
void post_lane::extend(spare_chunks& spares) {
    slot_chunk& more = spares.take();
    if (last_)
        last_->link(more);
    else
        first_.store(&more, order::seq_cst); // as in slot_chunk::put()
    last_ = &more;
}

bool post_lane::claim_into(slot_claim& mine, spare_chunks& spares, std::uint32_t most, std::uint32_t shares,
                           bool& more) noexcept {
    for (slot_chunk* c = first_.load(order::acquire); c;) {
        const slot_chunk::range r = c->claim(most, shares);
        if (r.begin != r.end) {
            mine.set(*c, r.begin, r.end);
            more = r.more || c->next();
            return true;
        }
        if (!c->exhausted()) {
            if (c->empty()) return false;
            continue; // somebody was quicker, and there is more
        }
        c = leave_behind(*c, spares);
    }
    return false;
}

// Of a chunk all of whose slots are claimed; gives the next one, if there is one. Under a lock, since by an
// exchange of first_ alone a thread that was held up could take a chunk's next life for this one.
slot_chunk* post_lane::leave_behind(slot_chunk& c, spare_chunks& spares) noexcept {
    slot_chunk* next = nullptr;
    {
        const spin_guard guard{moving_};
        slot_chunk* const first = first_.load(order::relaxed);
        if (first != &c) return first; // somebody else has
        next = c.next();
        if (!c.exhausted() || !next) return nullptr;
        first_.store(next, order::seq_cst);
    }
    if (c.done(1)) spares.give(c);
    return next;
}

bool post_lane::empty() const noexcept {
    const slot_chunk* const c = first_.load(order::seq_cst);
    return !c || (c->empty() && !(c->exhausted() && c->next()));
}

} // namespace plait::detail
