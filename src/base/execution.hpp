// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/worker.hpp>

namespace plait::detail {

/// What current() gives, for the library's own functions that are no coroutines and thus stay on their
/// thread. initial-exec: an instruction or two in place of a call; so small a variable may be, in a shared
/// library that is loaded late, too.
extern constinit thread_local execution this_execution
    [[gnu::visibility("hidden"), gnu::tls_model("initial-exec")]];

} // namespace plait::detail
