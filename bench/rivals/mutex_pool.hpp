// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace rivals {

/// The pool that most programs write: one queue, one mutex, one condition variable (the shape of
/// BS::thread_pool).
class mutex_pool {
  public:
    explicit mutex_pool(unsigned workers) {
        for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
    }
    mutex_pool(const mutex_pool&) = delete;
    mutex_pool& operator=(const mutex_pool&) = delete;
    ~mutex_pool() {
        {
            const std::lock_guard guard{mutex_};
            stop_ = true;
        }
        available_.notify_all();
        for (std::thread& t : threads_) t.join();
    }

    template <class F>
    void post(F&& f) {
        {
            const std::lock_guard guard{mutex_};
            queue_.emplace(std::forward<F>(f));
        }
        available_.notify_one();
    }
    template <class F>
    auto submit(F&& f) {
        using R = std::invoke_result_t<F>;
        auto promise = std::make_shared<std::promise<R>>();
        std::future<R> result = promise->get_future();
        post([promise, f = std::forward<F>(f)]() mutable {
            if constexpr (std::is_void_v<R>) {
                f();
                promise->set_value();
            } else {
                promise->set_value(f());
            }
        });
        return result;
    }
    /// Until everything has run.
    void wait_idle() {
        std::unique_lock lock{mutex_};
        idle_.wait(lock, [this] { return queue_.empty() && running_ == 0; });
    }

  private:
    void work() {
        std::unique_lock lock{mutex_};
        for (;;) {
            available_.wait(lock, [this] { return stop_ || !queue_.empty(); });
            if (queue_.empty()) return;
            std::function<void()> task = std::move(queue_.front());
            queue_.pop();
            ++running_;
            lock.unlock();
            task();
            lock.lock();
            if (--running_ == 0 && queue_.empty()) idle_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable available_;
    std::condition_variable idle_;
    std::queue<std::function<void()>> queue_; // guarded by mutex_
    std::size_t running_ = 0;                 // guarded by mutex_
    bool stop_ = false;                       // guarded by mutex_
    std::vector<std::thread> threads_;
};

} // namespace rivals
