// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace plait::detail {

/// Owns one file descriptor and closes it. -1 owns nothing. errno survives the closing.
class unique_fd {
  public:
    constexpr unique_fd() noexcept = default;
    explicit constexpr unique_fd(int descriptor) noexcept : fd_{descriptor} {}
    unique_fd(unique_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) {
            reset(std::exchange(other.fd_, -1));
        }
        return *this;
    }
    unique_fd(const unique_fd&) = delete;
    unique_fd& operator=(const unique_fd&) = delete;
    ~unique_fd() { reset(); }

    [[nodiscard]] constexpr int get() const noexcept { return fd_; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    /// Closes what it owns and takes over `descriptor`. EINTR is not retried: Linux has closed it by then,
    /// and a second close could hit a descriptor that another thread has just opened.
    void reset(int descriptor = -1) noexcept {
        const int old = std::exchange(fd_, descriptor);
        if (old >= 0) {
            const int saved = errno;
            ::close(old);
            errno = saved;
        }
    }

  private:
    int fd_ = -1;
};

/// The same descriptor under a number of 3 or above, close-on-exec: in a program that was started without
/// stdin, stdout or stderr nothing of ours may take their place, or whoever prints writes into it. Empty:
/// none is left, see errno.
[[nodiscard]] inline unique_fd above_stdio(unique_fd descriptor) noexcept {
    constexpr int first = 3;
    if (!descriptor || descriptor.get() >= first) return descriptor;
    return unique_fd{::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, first)};
}

} // namespace plait::detail
