// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace plait::detail {

/// What a worker's tasks print, at the parent's end of one pipe that both stdout and stderr of the worker
/// are: so the order of the two is the order of the writes. Of each task the end is kept, however much it
/// prints.
class captured_output {
  public:
    /// Of one task, in bytes.
    static constexpr std::size_t most_kept = std::size_t{64} << 10;

    /// Makes the pipe; returns the end that the worker gets. Throws system_error.
    [[nodiscard]] unique_fd open();
    bool is_open() const noexcept { return static_cast<bool>(pipe_); }
    int descriptor() const noexcept { return pipe_.get(); }

    /// Takes from the pipe what is there now, and not what is written meanwhile: a child of a task's that
    /// never stops printing must not hold us. True: there was something.
    bool read();
    /// What has been read since the last call. The next bytes are somebody else's.
    std::string take();

  private:
    void keep(const char* bytes, std::size_t count);

    unique_fd pipe_;
    std::string tail_; // grows to twice what is kept, so that each byte is moved once
    std::uint64_t dropped_ = 0;
};

} // namespace plait::detail
