// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace plait::detail {

/// The one place that puts an errno into words: "No space left on device (ENOSPC)".
/// Numbers that the C library does not know: "unknown error (4711)".
[[nodiscard]] std::string errno_text(int error);

/// A signal in words: "SIGSEGV", "signal 40".
[[nodiscard]] std::string signal_text(int signal);

/// Throws std::system_error (system category, `error`) whose text begins with `attempted`: what was
/// attempted, on what.
[[noreturn]] void throw_errno(int error, const std::string& attempted);

/// The same with the current errno.
[[noreturn]] void throw_errno(const std::string& attempted);

} // namespace plait::detail
