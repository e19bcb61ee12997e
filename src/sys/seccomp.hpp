// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

struct forbidden_calls {
    bool network = false; ///< sockets but Unix ones: EACCES
    bool writing = false; ///< to create, open for writing or change files: EROFS
};

/// Does the kernel, and whatever confines us, let a process filter its own system calls?
bool can_forbid_calls() noexcept;

/// From now on these calls fail, in all threads of this process and in all processes that it starts. Throws
/// system_error.
void forbid_calls(const forbidden_calls& calls);

} // namespace plait::detail
