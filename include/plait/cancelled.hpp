// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait {

/// Thrown by a wait in a task that was cancelled, and by `get()` of a future whose task was.
///
/// Deliberately not a std::exception: `catch (const std::exception&)` is for failures, and must not swallow
/// the request to stop. Whoever swallows it with `catch (...)` meets it again at the next wait: a cancelled
/// task stays cancelled.
class [[gnu::visibility("default")]] cancelled {
  public:
    const char* what() const noexcept { return "cancelled"; }
};

} // namespace plait
