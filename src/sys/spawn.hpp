// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace plait::detail {

/// The descriptor under which a spawned program finds its channel.
inline constexpr int spawned_channel = 3;

/// Starts the running program once more, from the very file that runs (also after an update on disk), with
/// its standard input from /dev/null, its channel as descriptor 3 and nothing else open, in a process group
/// of its own, with an empty signal mask and every signal at its default: an ignored SIGCHLD would make its
/// waits fail. `environment`: additional NAME=VALUE strings. Throws system_error.
[[nodiscard]] pid_t spawn_self(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment, int channel);

} // namespace plait::detail
