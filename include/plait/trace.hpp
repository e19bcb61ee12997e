// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace plait {

/// Writes the tree of live tasks to a descriptor: for the moment when a program hangs.
///
///     plait::dump_tasks();          // to stderr
///
///     plait: 3 live tasks
///     #257 'main' waiting for with_group, 3.2 s old, at server.cpp:40, created at server.cpp:61
///       #258 'echo' waiting for socket read, 1.0 s old, at server.cpp:12, created at server.cpp:38
///       #259 'parse' running on crunch/1, 0.2 s old, created at server.cpp:22
///
/// What runs on a thread of an executor shows that thread's name: the executor's, and its number there.
///
/// A function that was posted, or submitted without a name, shows from its start on: give what you want to
/// see in the queue a name. A child of `gather` on a pool shows from its first wait on. Children stand below the
/// task that created them. `at` is the await that the task last reached.
///
/// Threads:  any, at any time, in a signal handler too: it takes no lock, has its memory from the kernel, and
///           reads tasks that go on meanwhile; one that ends while it looks is left out.
/// Errors:   none are reported; what cannot be written is lost.
/// Cost:     about a microsecond a task; at most `most` are shown, the rest is counted.
[[gnu::visibility("default")]] void dump_tasks(int descriptor = 2, std::size_t most = 10'000) noexcept;

} // namespace plait
