// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace plait::fetch {

/// How many connections a limit of descriptors allows: each takes one for the socket and one for the file,
/// and 32 are for everything else. At least 1.
[[nodiscard]] std::size_t connections_for(std::size_t descriptors, std::size_t wanted) noexcept;

/// Raises the soft limit of descriptors to the hard one and gives as many of the wanted connections as it
/// allows; `note` says so if they are fewer.
[[nodiscard]] std::size_t fit_connections(std::size_t wanted, std::string& note);

} // namespace plait::fetch
