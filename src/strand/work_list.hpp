// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <plait/detail/frame.hpp>
#include <plait/detail/work.hpp>
#include <utility>

namespace plait::detail {

/// First in, first out, for work that one thread queues and another runs; one thread at a time.
///
/// Addresses side by side, not a chain through the work itself. To follow a chain that another processor has
/// written costs one wait for its cache after the other; a list of addresses is fetched in one go, and tells
/// what to fetch next. Where there is no memory for more addresses, the chain it is: to push never fails.
class work_list {
  public:
    work_list() noexcept = default;
    work_list(const work_list&) = delete;
    work_list& operator=(const work_list&) = delete;
    ~work_list() {
        while (head_) delete std::exchange(head_, head_->next);
    }

    void push(work& w) noexcept {
        if (chained_.empty() && tail_ && tail_->end != room)
            tail_->items[tail_->end++] = &w;
        else
            push_slowly(w);
    }

    work* pop() noexcept {
        if (!head_ || head_->begin == head_->end) return chained_.pop();
        work* const w = head_->items[head_->begin++];
        if (head_->begin != head_->end)
            __builtin_prefetch(head_->items[head_->begin], 1);
        else
            drop_head();
        return w;
    }

    /// Takes over the whole of `other`, behind what is here. In no time, however much that is.
    void append(work_list& other) noexcept {
        if (!chained_.empty()) {
            while (work* const w = other.pop()) chained_.push(*w);
        } else if (few(other)) {
            while (work* const w = other.pop()) push(*w);
        } else {
            if (head_ && head_->begin == head_->end) { // it has nothing but this chunk
                std::swap(head_, other.head_);
                std::swap(tail_, other.tail_);
            } else {
                (head_ ? tail_->next : head_) = std::exchange(other.head_, nullptr);
                tail_ = std::exchange(other.tail_, nullptr);
            }
            chained_.append(other.chained_);
        }
    }

  private:
    static constexpr std::uint32_t room = 61; // half a kilobyte, less the heap's word

    struct chunk : pooled {
        chunk* next = nullptr;
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
        std::array<work*, room> items;
    };

    /// A few addresses are copied: their chunk stays where it is, and is filled on.
    static bool few(const work_list& l) noexcept {
        constexpr std::uint32_t limit = 8;
        return l.chained_.empty() && l.head_ == l.tail_ &&
               (!l.head_ || l.head_->end - l.head_->begin <= limit);
    }

    [[gnu::noinline]] void push_slowly(work& w) noexcept {
        if (!chained_.empty()) return chained_.push(w);
        chunk* more = nullptr;
        try {
            more = new chunk;
        } catch (...) {
            return chained_.push(w);
        }
        (tail_ ? tail_->next : head_) = more;
        tail_ = more;
        more->items[more->end++] = &w;
    }

    void drop_head() noexcept {
        if (head_ == tail_)
            head_->begin = head_->end = 0; // for what comes next
        else
            delete std::exchange(head_, head_->next);
    }

    chunk* head_ = nullptr;
    chunk* tail_ = nullptr;
    work_queue chained_; // behind all chunks
};

} // namespace plait::detail
