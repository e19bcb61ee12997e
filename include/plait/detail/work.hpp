// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// Something a worker can run: the one currency of queues. Intrusive, so that posting allocates nothing.
///
/// Whoever posts it keeps it alive until it runs; once it runs, it belongs to itself.
struct work {
    using function = void(work&) noexcept;

    explicit work(function* f) noexcept : run_{f} {} // NOLINT(*-member-init)
    work(const work&) = delete;
    work& operator=(const work&) = delete;

    void run() noexcept { run_(*this); }

    work* next_; // in a queue
    function* run_;
    bool unstarted_ : 1 = false;   // a task that nobody has begun: shutdown may take it out of the queue
    bool posted_ : 1 = false;      // such a one, and a `posted`: it is over, and gone, when run() returns
    bool forked_ : 1 = false;      // a `fork`
    unsigned char unused_ : 5 = 0; // else the byte is read to be written
    unsigned char priority_ = 0;   // of an unstarted one; what is under way goes with the highest
};

/// First in, first out; one thread at a time.
class work_queue {
  public:
    bool empty() const noexcept { return head_ == nullptr; }

    void push(work& w) noexcept {
        w.next_ = nullptr;
        (head_ ? tail_->next_ : head_) = &w;
        tail_ = &w;
    }

    /// Takes over the whole of `other`, behind what is here.
    void append(work_queue& other) noexcept {
        if (other.empty()) return;
        (head_ ? tail_->next_ : head_) = other.head_;
        tail_ = other.tail_;
        other = work_queue{};
    }

    work* pop() noexcept {
        work* w = head_;
        if (w) head_ = w->next_;
        return w;
    }

  private:
    work* head_ = nullptr;
    work* tail_ = nullptr;
};

} // namespace plait::detail
