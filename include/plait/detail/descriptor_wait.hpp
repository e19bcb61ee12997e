// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>
#include <span>
#include <utility>

namespace plait::detail {

/// What is waited for at one descriptor.
struct awaited_descriptor {
    int fd = -1;
    bool to_write = false;
};

class descriptor_watch;

/// A task's wait until one of several descriptors can be read from, or written to, or has hung up. It may end
/// for nothing: try again. Of descriptors that others use too, in this process and in others: it watches
/// duplicates, and leaves the file's flags alone.
///
/// Cost:  a duplicate and two calls of epoll_ctl for each descriptor; so try first.
class [[nodiscard, gnu::visibility("default")]] descriptor_wait final : public waiter {
  public:
    /// `all` is to live until it is over.
    descriptor_wait(std::span<const awaited_descriptor> all, const char* what) noexcept
        : all_{all}, what_{what} {}
    descriptor_wait(descriptor_wait&& other) noexcept : descriptor_wait{other.all_, other.what_} {}
    ~descriptor_wait();

    bool await_ready() const noexcept { return false; }
    /// Throws system_error if there is no loop to watch them.
    bool await_suspend(std::coroutine_handle<> h);
    /// Throws cancelled, or system_error if they cannot be watched.
    void await_resume();

  private:
    void unlink() noexcept override;

    std::span<const awaited_descriptor> all_;
    const char* what_;
    descriptor_watch* watch_ = nullptr;
    int error_ = 0;
};

} // namespace plait::detail
