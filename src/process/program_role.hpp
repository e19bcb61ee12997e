// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace plait::detail {

/// Was plait::program made in this binary's main, so that a spawned copy becomes a helper?
[[nodiscard]] bool program_hosts_workers() noexcept;
/// The name that the program was started under.
[[nodiscard]] const std::string& program_name() noexcept;

} // namespace plait::detail
