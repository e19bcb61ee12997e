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

// How what is posted from outside comes to a pool's threads: by value, through lanes of records.
//
// A lane is a list of chunks; a chunk is a run of words, filled with records by whoever holds the lane's lock, and
// claimed by threads without it, many words at a time. A thread takes the records of its claim one by one, and others
// may take half of the claim from it, so that a long task hides nothing.
//
// Neighbouring records are written by one thread and read by another, in order: that is what processors fetch
// ahead. And nothing is allocated for a task, or freed on another thread than it was allocated on.

namespace plait::detail {

/// Some words in a row, for one life after the other: it is filled, claimed, emptied and used again. It is
/// never freed before the pool ends, so who comes too late reads an old one, not a gone one.
///
/// `tail_` and `head_` have the life's number above the word's. A claim is made by exchanging `head_` from
/// what was read before `tail_` was: if it has not changed meanwhile, `tail_` was of the same life, and its
/// records are published.
///
/// A record lies within a block: where a claim is cut in two that is between blocks, for between records only their own
/// words tell where that would be. What a block has left behind its last record begins with a zero.
class alignas(64) record_chunk {
  public:
    static constexpr std::uint32_t block = 32, blocks = 31;
    static constexpr std::uint32_t size = blocks * block; // so that a range of them fits a claim's word

    /// The next life begins; by whoever has the chunk to himself. Throws bad_alloc.
    void open() {
        if (!words_) words_ = std::make_unique<atomic<std::uint64_t>[]>(size); // NOLINT(*-avoid-c-arrays)
        const std::uint64_t life = (tail_.load(order::relaxed) & ~position_mask) + position_mask + 1;
        next_.store(nullptr, order::relaxed);
        done_.store(0, order::relaxed);
        // A late claimer that reads the new tail and the old head, or the other way round, sees two lives.
        head_.store(life, order::release);
        tail_.store(life, order::release);
    }
    /// Frees the words of one that is not in use.
    void close() noexcept { words_.reset(); }

    // The sender's, under the lane's lock.
    /// For so many words: if there is none in this block, the next one begins. False: nor is there any left.
    bool make_room(std::uint32_t n) noexcept {
        const std::uint64_t tail = tail_.load(order::relaxed);
        const std::uint32_t left = block - (tail & (block - 1));
        if (n > left) {
            words_[tail & position_mask].store(0, order::relaxed);
            tail_.store(tail + left, order::release); // nobody sleeps through it: it is no work
        }
        return (tail_.load(order::relaxed) & position_mask) != size;
    }
    /// `fast`: see post_lane.
    void put(const posted_record& r, bool fast) noexcept {
        const std::uint64_t tail = tail_.load(order::relaxed);
        atomic<std::uint64_t>* const to = words_.get() + (tail & position_mask);
        const std::uint32_t n = r.size();
        // relaxed: whoever reads them has learnt of them from the tail, or reads in vain.
        for (std::uint32_t i = 0; i < n; ++i) to[i].store(r.word(i), order::relaxed);
        // release: with the record. seq_cst: the sender then looks for sleepers, who look here after they have
        // announced themselves; not both can miss the other. While the lane is fast it need not be.
        if (fast)
            tail_.store(tail + n, order::release);
        else
            tail_.store(tail + n, order::seq_cst);
    }
    /// seq_cst, as in put(): for who is about to sleep.
    void link(record_chunk& next) noexcept { next_.store(&next, order::seq_cst); }

    // The threads'.
    struct range {
        std::uint32_t begin = 0, end = 0;
        bool more = false; // there are words behind it
    };
    /// At most `most` words, a block or more; an empty range if there are none, or somebody was quicker.
    range claim(std::uint32_t most) noexcept;
    bool exhausted() const noexcept {
        const std::uint64_t head = head_.load(order::acquire);
        return (head & position_mask) == size;
    }
    bool empty() const noexcept;
    record_chunk* next() const noexcept { return next_.load(order::seq_cst); }
    std::uint64_t word(std::uint32_t i) const noexcept { return words_[i].load(order::relaxed); }
    /// Where a record, or what is empty, ends that begins there with this word.
    static std::uint32_t end_of(std::uint32_t begin, std::uint64_t first) noexcept {
        return first != 0 ? begin + posted_record::size_of(first) : block_from(begin + 1);
    }
    /// The first block's beginning that is not before it.
    static std::uint32_t block_from(std::uint32_t position) noexcept {
        return (position + block - 1) & ~(block - 1);
    }
    /// Somebody who has a claim on it reads it from now on, and has done with one more.
    void join() noexcept { done_.fetch_sub(1, order::relaxed); }
    /// So many words have been read, or the lane has left it behind (1). True: this life is over.
    bool done(std::uint32_t n) noexcept {
        // acq_rel: who opens it again comes after all who have read it.
        return done_.fetch_add(n, order::acq_rel) + n == size + 1;
    }

    record_chunk* spare_next = nullptr; // guarded by the lock of the list of spare ones

  private:
    static constexpr std::uint64_t position_mask = 0x3ff;

    std::unique_ptr<atomic<std::uint64_t>[]> words_; // NOLINT(cppcoreguidelines-avoid-c-arrays)
    // The sender's line and the threads': neither is where the other looks for the words.
    alignas(64) atomic<std::uint64_t> tail_{0};
    atomic<record_chunk*> next_{nullptr};
    alignas(64) atomic<std::uint64_t> head_{0};
    atomic<std::uint32_t> done_{0};
};

/// A pool's chunks: those that are in no lane.
class spare_chunks {
  public:
    /// Open; throws bad_alloc.
    record_chunk& take();
    void give(record_chunk& c) noexcept;

  private:
    static constexpr std::size_t most_open = 192; // 1.5 MiB; the others' words are given back

    atomic<std::uint32_t> lock_{0};
    record_chunk* first_ = nullptr; // guarded by lock_, as the rest
    atomic<std::size_t> count_{0};  // changed under lock_
    std::vector<std::unique_ptr<record_chunk>> all_;
};

/// What one thread has claimed and not taken yet: one word that its owner and thieves exchange, the chunk's
/// address and two positions. The word alone describes the claim, so that it does not matter if it was
/// another in between.
class record_claim {
  public:
    /// Owner, after take() said that there is none.
    void set(record_chunk& c, std::uint32_t begin, std::uint32_t end) noexcept {
        // The claim is not to be seen before: while it holds, the chunk does, even if thieves take all of it.
        c.join();
        chunk_ = &c;
        read_ = 1;
        // seq_cst: as in record_chunk::put(), for those who look whether there is any work.
        word_.store(pack(c, begin, end), order::seq_cst);
    }
    /// Owner: copies the next one into `to`. False: there is none; a chunk that nobody has to read any more
    /// is given back.
    bool take(posted_record& to, spare_chunks& spares) noexcept {
        std::uint64_t word = word_.load(order::relaxed); // changed by thieves alone, but for us
        for (;;) {
            const std::uint32_t begin = begin_of(word);
            if (begin == end_of(word)) return give_up(spares);
            // It may be a thief's already, or what somebody else has put there since; then the exchange fails.
            const std::uint64_t first = chunk_->word(begin);
            const std::uint32_t n = record_chunk::end_of(begin, first) - begin;
            // acquire: a thief's exchange comes wholly before or after this one.
            const std::uint64_t after = word + (std::uint64_t{n} << bits);
            if (!word_.compare_exchange(word, after, order::acq_rel, order::relaxed)) continue;
            read_ += n;
            if (first == 0) {
                word = after;
                continue;
            }
            to.word(0) = first;
            for (std::uint32_t i = 1; i < n; ++i) to.word(i) = chunk_->word(begin + i);
            return true;
        }
    }
    /// A thief, into its own claim, which is empty: the older half of it, in whole blocks.
    bool steal_into(record_claim& mine) noexcept;
    /// From any thread.
    bool empty() const noexcept {
        const std::uint64_t word = word_.load(order::seq_cst);
        return begin_of(word) == end_of(word);
    }

  private:
    bool give_up(spare_chunks& spares) noexcept;

    static constexpr unsigned bits = 10;
    static constexpr std::uint64_t mask = (1U << bits) - 1;
    static std::uint64_t pack(record_chunk& c, std::uint64_t begin, std::uint64_t end) noexcept {
        // A chunk's address has six zeros at its end, and 48 bits in all.
        return reinterpret_cast<std::uintptr_t>(&c) << (2 * bits - 6) | begin << bits | end;
    }
    static record_chunk& chunk_of(std::uint64_t word) noexcept {
        return *reinterpret_cast<record_chunk*>(word >> (2 * bits) << 6);
    }
    static std::uint32_t begin_of(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> bits & mask);
    }
    static std::uint32_t end_of(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word & mask);
    }

    atomic<std::uint64_t> word_{0};
    record_chunk* chunk_ = nullptr; // the owner's, as the next: where it reads
    std::uint32_t read_ = 0;        // words that it has read there, and not told of, and itself
};

/// One of a pool's lanes. First in, first out; who posts keeps to one lane.
///
/// It is slow or fast. In a slow lane each record's end is stored seq_cst, before the sender looks for sleepers: an
/// exchange, which waits until all that was stored before has reached the cache. A sender that has filled a chunk makes
/// the lane fast, and then releases only. Whoever goes to sleep makes it slow first, under the lane's lock, announces
/// itself, and only then looks whether there is anything (see may_hold_any()).
class alignas(64) post_lane {
  public:
    /// What the pool counts in for a lane in advance, so that not every post writes the pool's word.
    static constexpr std::uint32_t credit = 256;

    /// What is counted in by itself. `then()` is called before the lane is left: whoever closes it comes
    /// after that. Throws bad_alloc.
    template <class Then>
    auto put(const posted_record& r, spare_chunks& spares, Then then) {
        const spin_guard guard{lock_};
        if (!last_ || !last_->make_room(r.size())) extend(spares);
        last_->put(r, fast_.load(order::relaxed));
        return then();
    }
    /// On credit. `more_credit()` counts `credit` tasks in, or throws.
    template <class MoreCredit, class Then>
    auto put_on_credit(const posted_record& r, spare_chunks& spares, MoreCredit more_credit, Then then) {
        const spin_guard guard{lock_};
        if (!last_ || !last_->make_room(r.size())) extend(spares);
        if (credit_ == 0) {
            more_credit();
            credit_ = credit;
        }
        --credit_;
        last_->put(r, fast_.load(order::relaxed));
        return then();
    }
    /// Nobody posts any more: the credit that is left, to be counted out.
    std::uint32_t take_credit() noexcept {
        const spin_guard guard{lock_};
        return std::exchange(credit_, 0);
    }

    /// A claim of at most `most` words. False: there are none. `more`: others are left.
    bool claim_into(record_claim& mine, spare_chunks& spares, std::uint32_t most, bool& more) noexcept;
    /// From any thread.
    bool empty() const noexcept;

    /// For who has announced itself: may there be any? False, and whoever puts something in from now on sees the
    /// announcement:
    ///   - what was put in while the lane was fast came before slow_down(), of which this `false` is (acquire);
    ///   - if it becomes fast again after that, by an exchange, its senders look for sleepers later still (seq_cst);
    ///   - what is put in while it is slow: see record_chunk::put().
    bool may_hold_any() const noexcept { return fast_.load(order::seq_cst) || !empty(); }
    /// For who is about to go to sleep, before it announces itself. Waits for a sender at most.
    void slow_down() noexcept {
        if (!fast_.load(order::relaxed)) return;
        const spin_guard guard{lock_};
        fast_.store(false, order::release);
    }

  private:
    void extend(spare_chunks& spares);
    record_chunk* leave_behind(record_chunk& c, spare_chunks& spares) noexcept;

    // The senders'.
    atomic<std::uint32_t> lock_{0};
    std::uint32_t credit_ = 0;     // guarded by lock_
    record_chunk* last_ = nullptr; // guarded by lock_
    // The threads'.
    alignas(64) atomic<record_chunk*> first_{nullptr}; // once there is one, changed under moving_
    atomic<std::uint32_t> moving_{0};
    atomic<bool> fast_{false}; // changed under lock_
};

} // namespace plait::detail
