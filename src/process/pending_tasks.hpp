// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <plait/detail/process_task.hpp>

namespace plait::detail {

/// Tasks that no lane has yet: by priority, then in order of submission; of 16 in a row one is of the lowest
/// priority that waits, so that none starves. Intrusive; the engine's lock guards it.
class pending_tasks {
  public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    void push_back(process_task& task) noexcept {
        list& l = list_of(task);
        task.next_ = nullptr;
        task.previous_ = l.last;
        (l.last != nullptr ? l.last->next_ : l.first) = &task;
        l.last = &task;
        added(task);
    }
    /// A task that comes back from a lane: it keeps its place before all that were submitted after it.
    void put_back(process_task& task) noexcept {
        list& l = list_of(task);
        process_task* after = l.first;
        while (after != nullptr && after->number_ < task.number_) after = after->next_;
        task.next_ = after;
        task.previous_ = after != nullptr ? after->previous_ : l.last;
        (task.previous_ != nullptr ? task.previous_->next_ : l.first) = &task;
        (after != nullptr ? after->previous_ : l.last) = &task;
        added(task);
    }
    process_task* pop_front() noexcept {
        process_task* first = nullptr;
        process_task* last = nullptr; // of the lowest priority
        for (const list& l : lists_) {
            if (first == nullptr) first = l.first;
            if (l.first != nullptr) last = l.first;
        }
        if (first == nullptr) return nullptr;
        // Only where somebody is passed over does it count.
        if (last != first && ++passed_over_ == one_of) first = last;
        if (first == last) passed_over_ = 0;
        remove(*first);
        return first;
    }
    void remove(process_task& task) noexcept {
        list& l = list_of(task);
        (task.previous_ != nullptr ? task.previous_->next_ : l.first) = task.next_;
        (task.next_ != nullptr ? task.next_->previous_ : l.last) = task.previous_;
        task.next_ = task.previous_ = nullptr;
        --size_;
    }

  private:
    struct list {
        process_task* first = nullptr;
        process_task* last = nullptr;
    };
    list& list_of(const process_task& task) noexcept {
        return lists_[static_cast<std::size_t>(std::clamp(task.priority, 0, 2))];
    }
    void added(process_task& task) noexcept {
        task.stage_ = process_task::stage::pending;
        ++size_;
    }

    std::array<list, 3> lists_;
    std::size_t size_ = 0;
    static constexpr unsigned one_of = 16;
    unsigned passed_over_ = 0;
};

} // namespace plait::detail
