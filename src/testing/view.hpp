// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace plait::testing::model {

/// Memory that lasts as long as one run, and is then used again for the next.
class arena {
  public:
    std::uint32_t* take(std::size_t words) {
        if (left_ < words) more(words);
        std::uint32_t* const at = next_;
        next_ += words;
        left_ -= words;
        return at;
    }
    void clear() noexcept {
        used_ = 0;
        left_ = 0;
    }

  private:
    static constexpr std::size_t block_words = 32 * 1024;
    void more(std::size_t words) {
        const std::size_t size = std::max(words, block_words);
        while (used_ < blocks_.size() && blocks_[used_].size < size) ++used_;
        if (used_ == blocks_.size())
            blocks_.push_back({std::make_unique<std::uint32_t[]>(size), size}); // NOLINT
        next_ = blocks_[used_].words.get();
        left_ = blocks_[used_].size;
        ++used_;
    }
    struct block {
        std::unique_ptr<std::uint32_t[]> words; // NOLINT(cppcoreguidelines-avoid-c-arrays)
        std::size_t size;
    };
    std::vector<block> blocks_;
    std::size_t used_ = 0;
    std::uint32_t* next_ = nullptr;
    std::size_t left_ = 0;
};

/// What somebody has seen, at one moment: see view.
struct seen {
    std::uint32_t size;
    const std::uint32_t* at;
};

/// How far a thread has seen: of each thread, up to which of its steps, and of each location, up to which of its
/// stores. A vector clock of both; what is not there is 0.
///
/// The model of memory is the operational one with views (Kang et al., "A promising semantics for relaxed-memory
/// concurrency", POPL 2017), without its promises: a store carries what its thread had seen, if it releases, and a load
/// that acquires has then seen that too.
class view {
  public:
    static constexpr std::uint32_t most_threads = 8;

    void clear() noexcept {
        at_ = nullptr;
        size_ = capacity_ = 0;
    }
    std::uint32_t operator[](std::uint32_t i) const noexcept { return i < size_ ? at_[i] : 0; }
    void raise(std::uint32_t i, std::uint32_t to, arena& memory) {
        if (i >= size_) grow(i + 1, memory);
        at_[i] = std::max(at_[i], to);
    }
    void join(const seen& other, arena& memory) {
        if (other.size > size_) grow(other.size, memory);
        for (std::uint32_t i = 0; i < other.size; ++i) at_[i] = std::max(at_[i], other.at[i]);
    }
    void join(const view& other, arena& memory) { join(seen{other.size_, other.at_}, memory); }

    seen snapshot(arena& memory) const {
        if (size_ == 0) return {0, nullptr};
        std::uint32_t* const copy = memory.take(size_);
        std::memcpy(copy, at_, size_ * sizeof *at_);
        return {size_, copy};
    }

  private:
    void grow(std::uint32_t size, arena& memory) {
        if (size > capacity_) {
            const std::uint32_t capacity = std::max(size, std::max<std::uint32_t>(16, 2 * capacity_));
            std::uint32_t* const more = memory.take(capacity);
            if (size_ != 0) std::memcpy(more, at_, size_ * sizeof *at_);
            at_ = more;
            capacity_ = capacity;
        }
        std::fill(at_ + size_, at_ + size, 0U);
        size_ = size;
    }

    std::uint32_t* at_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
};

} // namespace plait::testing::model
