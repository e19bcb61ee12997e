// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace plait::detail {

/// How many scopes have been stopped in this process. As long as it stands still, what was not stopped is not:
/// the children of a gather that only compute look here, in place of at everything that they are part of.
///
/// Raised after a scope's flag is set, so whoever knows of the stop, or sees the new number, sees the flag.
extern constinit std::atomic<std::uint64_t> stops_until_now;

} // namespace plait::detail
