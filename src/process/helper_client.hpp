// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/helper_protocol.hpp"
#include "sys/unique_fd.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace plait::detail {

/// The parent's side of one helper process.
class helper_client {
  public:
    helper_client() noexcept = default;
    helper_client(const helper_client&) = delete;
    helper_client& operator=(const helper_client&) = delete;
    ~helper_client() { stop(); }

    bool alive() const noexcept { return static_cast<bool>(channel_); }
    int channel() const noexcept { return channel_.get(); }

    /// Has it forked of the program's kept helper, or spawns it.
    void start();
    /// Spawns it. Throws logic_error without plait::program, system_error if the system refuses.
    void spawn();
    /// Asks for one more helper, whose channel is the other end of `channel`. 0 or an errno, as fork().
    int fork_helper(int channel) noexcept;
    /// Asks for a worker. 0 or an errno; EPIPE: the helper is gone. `output`: what its stdout and stderr
    /// become, or -1 for the program's own.
    int fork(std::uint32_t worker, std::uint64_t incarnation, int memory, int bell, int lifeline, int post,
             int output) noexcept;

    struct message {
        helper_reply reply;
        unique_fd process; ///< of `forked`
    };
    /// The next message if there is one. Marks the helper as gone (see alive) when it is.
    std::optional<message> receive() noexcept;
    /// Closes the channel, upon which it ends (and all its workers with it), and reaps it.
    void stop() noexcept;
    /// The same for one that does not answer: by SIGKILL, so that its workers live on.
    void kill() noexcept;
    /// In a child that the program has forked: it is not this process's.
    void forget() noexcept;

  private:
    void reap() noexcept;

    unique_fd channel_;
    unique_fd handle_;
    pid_t pid_ = 0;
};

} // namespace plait::detail
