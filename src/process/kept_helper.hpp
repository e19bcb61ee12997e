// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/helper_client.hpp"
#include "sys/unique_fd.hpp"

#include <sys/types.h>

#include <optional>

namespace plait::detail {

/// A helper that serves no pool, and of which those that do are forked, instead of the program being run once
/// more. What they hand down to workers is what it had from the program when it was started itself.
///
/// Threads: made and ended by one; asked, by fork_kept_helper, from any.
class kept_helper {
  public:
    /// Spawns it. Throws as helper_client::spawn.
    kept_helper();
    /// Kills it, in the process that made it. What it has forked lives on.
    ~kept_helper();
    kept_helper(const kept_helper&) = delete;
    kept_helper& operator=(const kept_helper&) = delete;

    struct forked {
        unique_fd handle;
        pid_t pid = 0;
    };
    /// A helper that has `channel`. Nothing: it cannot be had from here.
    std::optional<forked> fork_helper(int channel) noexcept;

  private:
    bool is_there() noexcept;
    std::optional<forked> next_answer() noexcept;

    helper_client client_;
    const pid_t owner_;
};

/// For helper_client: of the kept one of this program, if it has any.
std::optional<kept_helper::forked> fork_kept_helper(int channel) noexcept;

} // namespace plait::detail
