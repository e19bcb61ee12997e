// SPDX-License-Identifier: Apache-2.0
#include "strand/post_lane.hpp"

#include <algorithm>

namespace plait::detail {

record_chunk::range record_chunk::claim(std::uint32_t most) noexcept {
    // acquire: the tail is looked at after it, and is none that this head has passed.
    std::uint64_t head = head_.load(order::acquire);
    // acquire: the records. seq_cst: for a thread that is about to sleep this is its last look; see put().
    const std::uint64_t tail = tail_.load(order::seq_cst);
    if ((head ^ tail) > position_mask || head >= tail) return {};
    const auto ready = static_cast<std::uint32_t>(tail - head);
    const auto begin = static_cast<std::uint32_t>(head & position_mask);
    const std::uint32_t n = ready <= most ? ready : ((begin + most) & ~(block - 1)) - begin;
    // release: who reads this head sees the tail that we have seen. acquire: or one that others have.
    if (!head_.compare_exchange(head, head + n, order::acq_rel, order::relaxed)) return {};
    return {begin, begin + n, ready != n};
}

bool record_chunk::empty() const noexcept {
    // As in claim().
    const std::uint64_t head = head_.load(order::acquire);
    return head >= tail_.load(order::seq_cst);
}

record_chunk& spare_chunks::take() {
    record_chunk* c = nullptr;
    {
        const spin_guard guard{lock_};
        if (first_) {
            c = std::exchange(first_, first_->spare_next);
            // relaxed, here and in give(): it is changed under the lock, and else it is but a hint.
            count_.store(count_.load(order::relaxed) - 1, order::relaxed);
        }
    }
    if (!c) {
        auto made = std::make_unique<record_chunk>();
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

void spare_chunks::give(record_chunk& c) noexcept {
    // Not under the lock, since those who post would wait for free(). relaxed: a few more do not matter.
    if (count_.load(order::relaxed) >= most_open) c.close();
    const spin_guard guard{lock_};
    c.spare_next = std::exchange(first_, &c);
    count_.store(count_.load(order::relaxed) + 1, order::relaxed);
}

// There is nothing left of it. Told of once for a claim, not for every record.
bool record_claim::give_up(spare_chunks& spares) noexcept {
    if (const std::uint32_t n = std::exchange(read_, 0); n != 0 && chunk_->done(n)) spares.give(*chunk_);
    return false;
}

bool record_claim::steal_into(record_claim& mine) noexcept {
    std::uint64_t word = word_.load(order::seq_cst);
    for (;;) {
        const std::uint32_t begin = begin_of(word);
        const std::uint32_t end = end_of(word);
        if (begin == end) return false;
        // `begin` is the owner's to change: no record can lie across what is rounded up.
        const std::uint32_t middle = std::min(record_chunk::block_from((begin + end + 1) / 2), end);
        record_chunk& c = chunk_of(word);
        // acquire: pairs with set(), and so with who has put the records in. That they have gone to us the
        // owner learns from the word itself.
        if (!word_.compare_exchange(word, pack(c, middle, end), order::acq_rel, order::relaxed)) continue;
        mine.set(c, begin, middle);
        return true;
    }
}

// Under lock_.
void post_lane::extend(spare_chunks& spares) {
    record_chunk& more = spares.take();
    if (last_) {
        last_->link(more);
        fast_.exchange(true, order::seq_cst); // before we look for sleepers: see may_hold_any()
    } else {
        first_.store(&more, order::seq_cst); // as in record_chunk::put()
    }
    last_ = &more;
}

bool post_lane::claim_into(record_claim& mine, spare_chunks& spares, std::uint32_t most,
                           bool& more) noexcept {
    // acquire: pairs with extend() and leave_behind(): the chunk is open.
    for (record_chunk* c = first_.load(order::acquire); c;) {
        const record_chunk::range r = c->claim(most);
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

// Of a chunk all of whose words are claimed; gives the next one, if there is one. Under a lock, since by an
// exchange of first_ alone a thread that was held up could take a chunk's next life for this one.
record_chunk* post_lane::leave_behind(record_chunk& c, spare_chunks& spares) noexcept {
    record_chunk* next = nullptr;
    {
        const spin_guard guard{moving_};
        record_chunk* const first =
            first_.load(order::relaxed); // of which `c` was one; changed under this lock
        if (first != &c) return first;   // somebody else has
        next = c.next();
        if (!c.exhausted() || !next) return nullptr;
        first_.store(next, order::seq_cst); // release: with the chunk. seq_cst: see empty()
    }
    if (c.done(1)) spares.give(c);
    return next;
}

bool post_lane::empty() const noexcept {
    // seq_cst: the last look of who has announced itself, as that at the tail.
    const record_chunk* const c = first_.load(order::seq_cst);
    return !c || (c->empty() && !(c->exhausted() && c->next()));
}

} // namespace plait::detail
