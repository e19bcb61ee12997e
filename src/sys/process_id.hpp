// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// getpid() without its system call: remembered, and forgotten in a child that fork(2) makes.
[[nodiscard]] int this_process() noexcept;

} // namespace plait::detail
