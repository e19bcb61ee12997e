// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace plait::fetch {

class writers;

/// A task's wait for a call on a writer's thread.
class write_waiter final : public plait::detail::waiter {
  public:
    using function = void(void*) noexcept;

    write_waiter(writers& by, function* call, void* argument) noexcept
        : by_(by), call_(call), argument_(argument) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h);
    void await_resume() const { check(); }

  private:
    friend class writers;
    bool withdraw() noexcept override;
    void unlink() noexcept override;

    writers& by_;
    function* call_;
    void* argument_;
    write_waiter* before_ = nullptr; // in the queue
    write_waiter* behind_ = nullptr;
    bool begun_ = false;
};

/// The threads that write files for loops, so that a slow disk holds up no socket, no timer and no Ctrl-C.
///
///     co_await shop.writers().call(&write, &file);
///
/// Two, however many loops: what one file system can do at once is soon done, and more of them would only
/// take turns with the loop. They are started when there is something to do.
///
/// Threads:       call() from tasks of any loop. Destroyed when no task waits.
/// Order:         first come, first served.
/// Cancellation:  a call that has not begun is dropped, at once. One that has begun is waited for, so it may
///                refer to the task's own variables (fetch_writers_test).
/// Errors:        none: where no thread can be had, the call is made at once, by the task itself.
class writers {
  public:
    static constexpr std::size_t most = 2;

    writers() = default;
    ~writers();
    writers(const writers&) = delete;
    writers& operator=(const writers&) = delete;

    struct awaitable {
        writers& by;
        write_waiter::function* what;
        void* argument;
        [[nodiscard]] write_waiter operator co_await() const noexcept { return {by, what, argument}; }
    };
    [[nodiscard]] awaitable call(write_waiter::function* what, void* argument) noexcept {
        return {*this, what, argument};
    }

  private:
    friend class write_waiter;
    enum class taken : unsigned char { yes, cancelled, no_thread };

    [[nodiscard]] taken take(write_waiter& one) noexcept;
    void remove(write_waiter& one) noexcept;
    void run() noexcept;

    std::mutex mutex_;
    std::condition_variable wake_;
    write_waiter* first_ = nullptr; // guarded by mutex_, as all that follows
    write_waiter* last_ = nullptr;
    std::size_t waiting_ = 0; // in the queue
    std::size_t idle_ = 0;    // threads that sleep, and have not been woken
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

} // namespace plait::fetch
