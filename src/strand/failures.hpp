// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <plait/executor.hpp>
#include <string>

namespace plait::detail {

/// An owner's share.
struct let_go_of_failures {
    void operator()(failure_handler* shared) const noexcept { shared->release_owner(); }
};
using failure_handler_ptr = std::unique_ptr<failure_handler, let_go_of_failures>;

/// An executor's way with failures that nobody awaits: its own handler, or, without one, a line on stderr.
/// `kind` is the executor's, a literal.
failure_handler_ptr make_failure_handler(const char* kind, unhandled_handler handler);

/// What an exception says of itself; for one that is no std::exception, its type.
std::string describe(const std::exception_ptr& error);

} // namespace plait::detail
