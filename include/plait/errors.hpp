// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <plait/cancelled.hpp>
#include <span>
#include <stdexcept>
#include <vector>

namespace plait {

/// A `timeout`, a map's `.timeout` or a task's `.timeout` ran out.
class [[gnu::visibility("default")]] timeout_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Work was given to an executor that takes no more.
class [[gnu::visibility("default")]] shutdown_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The other end of a channel, pipe or connection is closed.
class [[gnu::visibility("default")]] closed_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A pool cannot keep its workers alive; what() names the cause.
class [[gnu::visibility("default")]] pool_broken : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Ctrl-C arrived while `run` was asked to listen for it.
class [[gnu::visibility("default")]] interrupted : public std::runtime_error {
  public:
    interrupted();
};

/// All failures of a task group, in the order in which they happened; never a cancellation, never empty.
class [[gnu::visibility("default")]] error_group : public std::runtime_error {
  public:
    explicit error_group(std::vector<std::exception_ptr> errors);
    // Like errors(), in the source: every user of the header would pay for what they instantiate.
    error_group(const error_group& other);
    error_group& operator=(const error_group& other);
    ~error_group() override;

    /// Valid as long as this object.
    std::span<const std::exception_ptr> errors() const noexcept;

  private:
    std::vector<std::exception_ptr> errors_;
};

} // namespace plait
