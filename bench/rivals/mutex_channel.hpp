// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

namespace rivals {

/// The bounded queue that everybody writes first.
template <class T>
class mutex_channel {
  public:
    explicit mutex_channel(std::size_t capacity) : capacity_{capacity} {}

    void push(T x) {
        {
            std::unique_lock guard{mutex_};
            not_full_.wait(guard, [this] { return items_.size() < capacity_; });
            items_.push_back(std::move(x));
        }
        not_empty_.notify_one();
    }
    T pop() {
        std::unique_lock guard{mutex_};
        not_empty_.wait(guard, [this] { return !items_.empty(); });
        T x = std::move(items_.front());
        items_.pop_front();
        guard.unlock();
        not_full_.notify_one();
        return x;
    }

  private:
    std::size_t capacity_;
    std::deque<T> items_;
    std::mutex mutex_;
    std::condition_variable not_empty_, not_full_;
};

} // namespace rivals
