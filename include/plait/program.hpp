// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait {

/// Lets this binary host the workers of process pools. First in main():
///
///     int main(int argc, char** argv) {
///         plait::program program{argc, argv};
///         plait::process_pool pool{{.workers = 4}};
///         return pool.submit(answer).get();
///     }
///
/// A process pool starts the same binary once more, as a small single-threaded helper that forks the workers.
/// In that copy the constructor does not return: main's own code never runs there. What stands before it
/// does, and so do static initialisers. The helper is told by an inherited socket that one environment
/// variable (PLAIT_HELPER) names together with a random token; the variable is removed at once, and arguments
/// are left alone.
///
/// Threads:  make it before the program starts any.
/// Errors:   none. A pool in a program without it throws logic_error.
class [[gnu::visibility("default")]] program {
  public:
    program(int argc, char** argv);
    program(const program&) = delete;
    program& operator=(const program&) = delete;
};

} // namespace plait
