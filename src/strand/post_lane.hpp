// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/spin_lock.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <plait/detail/atomic.hpp>
#include <plait/detail/posted.hpp>
#include <utility>
#include <vector>

// How what is posted from outside comes to a pool's threads: by value, through lanes of slots.
//
// A lane is a list of chunks; a chunk is a run of slots, filled by whoever holds the lane's lock, and claimed
// by threads without it, many slots at a time. A thread takes the slots of its claim one by one, and others
// may take half of the claim from it, so that a long task hides nothing.
//
// Neighbouring slots are written by one thread and read by another, in order: that is what processors fetch
// ahead. And nothing is allocated for a task, or freed on another thread than it was allocated on.

namespace plait::detail {

/// Some slots in a row, for one life after the other: it is filled, claimed, emptied and used again. It is
/// never freed before the pool ends, so who comes too late reads an old one, not a gone one.
///
/// `tail_` and `head_` have the life's number above the slot's. A claim is made by exchanging `head_` from
/// what was read before `tail_` was: if it has not changed meanwhile, `tail_` was of the same life, and its
/// slots are published.
class alignas(64) slot_chunk {
  public:
    static constexpr std::uint32_t size = 511; // so that a range of them fits a claim's word

    /// The next life begins; by whoever has the chunk to himself. Throws bad_alloc.
    void open() {
        if (!slots_) slots_ = std::make_unique_for_overwrite<posted_slot[]>(size); // NOLINT(*-avoid-c-arrays)
        const std::uint64_t life = (tail_.load(order::relaxed) & ~slot_mask) + slot_mask + 1;
        next_.store(nullptr, order::relaxed);
        done_.store(0, order::relaxed);
        // A late claimer that reads the new tail and the old head, or the other way round, sees two lives.
        head_.store(life, order::release);
        tail_.store(life, order::release);
    }
    /// Frees the slots of one that is not in use.
    void close() noexcept { slots_.reset(); }

    // The sender's, under the lane's lock.
    bool full() const noexcept { return (tail_.load(order::relaxed) & slot_mask) == size; }
    void put(const posted_slot& s) noexcept {
        const std::uint64_t tail = tail_.load(order::relaxed);
        slots_[tail & slot_mask] = s;
        // release: with the slot. seq_cst: the sender then looks for sleepers, who look here after they have
        // announced themselves; not both can miss the other.
        tail_.store(tail + 1, order::seq_cst);
    }
    /// seq_cst, as in put(): for who is about to sleep.
    void link(slot_chunk& next) noexcept { next_.store(&next, order::seq_cst); }

    // The threads'.
    struct range {
        std::uint32_t begin = 0, end = 0;
        bool more = false; // there are slots behind it
    };
    /// At most `most` slots, or a share of 1 / `shares`; an empty range if there are none, or somebody was
    /// quicker.
    range claim(std::uint32_t most, std::uint32_t shares) noexcept;
    bool exhausted() const noexcept {
        const std::uint64_t head = head_.load(order::acquire);
        return (head & slot_mask) == size;
    }
    bool empty() const noexcept;
    slot_chunk* next() const noexcept { return next_.load(order::seq_cst); }
    const posted_slot& slot(std::uint32_t i) const noexcept { return slots_[i]; }
    /// So many slots have been read, or the lane has left it behind (1). True: this life is over.
    bool done(std::uint32_t n) noexcept {
        // acq_rel: who opens it again comes after all who have read it.
        return done_.fetch_add(n, order::acq_rel) + n == size + 1;
    }

    slot_chunk* spare_next = nullptr; // guarded by the lock of the list of spare ones

  private:
    static constexpr std::uint64_t slot_mask = 0x3ff;

    std::unique_ptr<posted_slot[]> slots_; // NOLINT(cppcoreguidelines-avoid-c-arrays)
    // The sender's line and the threads': neither is where the other looks for the slots.
    alignas(64) atomic<std::uint64_t> tail_{0};
    atomic<slot_chunk*> next_{nullptr};
    alignas(64) atomic<std::uint64_t> head_{0};
    atomic<std::uint32_t> done_{0};
};

/// A pool's chunks: those that are in no lane.
class spare_chunks {
  public:
    /// Open; throws bad_alloc.
    slot_chunk& take();
    void give(slot_chunk& c) noexcept;

  private:
    static constexpr std::size_t most_open = 64; // 2 MiB; the others' slots are given back

    atomic<std::uint32_t> lock_{0};
    slot_chunk* first_ = nullptr; // guarded by lock_, as the rest
    std::size_t count_ = 0;
    std::vector<std::unique_ptr<slot_chunk>> all_;
};

/// What one thread has claimed and not taken yet: one word that its owner and thieves exchange, the chunk's
/// address and two positions. The word alone describes the claim, so that it does not matter if it was
/// another in between.
class slot_claim {
  public:
    /// Owner, after take() said that there is none.
    void set(slot_chunk& c, std::uint32_t begin, std::uint32_t end) noexcept {
        chunk_ = &c;
        // seq_cst: as in slot_chunk::put(), for those who look whether there is any work.
        word_.store(pack(c, begin, end), order::seq_cst);
    }
    /// Owner: copies the next one into `to`. False: there is none; a chunk that nobody has to read any more
    /// is given back.
    bool take(posted_slot& to, spare_chunks& spares) noexcept {
        std::uint64_t word = word_.load(order::relaxed); // changed by thieves alone, but for us
        do {
            if (begin_of(word) == end_of(word)) return give_up(spares);
            // acquire: a thief's exchange comes wholly before or after this one.
        } while (!word_.compare_exchange(word, word + (1U << bits), order::acq_rel, order::relaxed));
        ++read_;
        to = chunk_->slot(begin_of(word));
        return true;
    }
    /// A thief, into its own claim, which is empty: the older half of it, rounded up.
    bool steal_into(slot_claim& mine) noexcept;
    /// From any thread.
    bool empty() const noexcept {
        const std::uint64_t word = word_.load(order::seq_cst);
        return begin_of(word) == end_of(word);
    }

  private:
    bool give_up(spare_chunks& spares) noexcept;

    static constexpr unsigned bits = 10;
    static constexpr std::uint64_t mask = (1U << bits) - 1;
    static std::uint64_t pack(slot_chunk& c, std::uint64_t begin, std::uint64_t end) noexcept {
        // A chunk's address has six zeros at its end, and 48 bits in all.
        return reinterpret_cast<std::uintptr_t>(&c) << (2 * bits - 6) | begin << bits | end;
    }
    static slot_chunk& chunk_of(std::uint64_t word) noexcept {
        return *reinterpret_cast<slot_chunk*>(word >> (2 * bits) << 6);
    }
    static std::uint32_t begin_of(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> bits & mask);
    }
    static std::uint32_t end_of(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word & mask);
    }

    atomic<std::uint64_t> word_{0};
    slot_chunk* chunk_ = nullptr; // the owner's, as the next: where it reads
    std::uint32_t read_ = 0;      // slots that it has read there, and not told of
};

/// One of a pool's lanes. First in, first out; who posts keeps to one lane.
class alignas(64) post_lane {
  public:
    /// What the pool counts in for a lane in advance, so that not every post writes the pool's word.
    static constexpr std::uint32_t credit = 64;

    /// What is counted in by itself. `then()` is called before the lane is left: whoever closes it comes
    /// after that. Throws bad_alloc.
    template <class Then>
    auto put(const posted_slot& s, spare_chunks& spares, Then then) {
        const spin_guard guard{lock_};
        if (!last_ || last_->full()) extend(spares);
        last_->put(s);
        return then();
    }
    /// On credit. `more_credit()` counts `credit` tasks in, or throws.
    template <class MoreCredit, class Then>
    auto put_on_credit(const posted_slot& s, spare_chunks& spares, MoreCredit more_credit, Then then) {
        const spin_guard guard{lock_};
        if (!last_ || last_->full()) extend(spares);
        if (credit_ == 0) {
            more_credit();
            credit_ = credit;
        }
        --credit_;
        last_->put(s);
        return then();
    }
    /// Nobody posts any more: the credit that is left, to be counted out.
    std::uint32_t take_credit() noexcept {
        const spin_guard guard{lock_};
        return std::exchange(credit_, 0);
    }

    /// A claim of some slots; false: there are none. `more`: others are left.
    bool claim_into(slot_claim& mine, spare_chunks& spares, std::uint32_t most, std::uint32_t shares,
                    bool& more) noexcept;
    /// From any thread.
    bool empty() const noexcept;

  private:
    void extend(spare_chunks& spares);
    slot_chunk* leave_behind(slot_chunk& c, spare_chunks& spares) noexcept;

    // The senders'.
    atomic<std::uint32_t> lock_{0};
    std::uint32_t credit_ = 0;   // guarded by lock_
    slot_chunk* last_ = nullptr; // guarded by lock_
    // The threads'.
    alignas(64) atomic<slot_chunk*> first_{nullptr}; // once there is one, changed under moving_
    atomic<std::uint32_t> moving_{0};
};

} // namespace plait::detail
