// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait {

namespace detail {
class kept_helper;
}

/// For plait::program.
struct program_options {
    /// Start the helper at once, and keep it until the end: each pool and process is then forked of it, and ready
    /// in a millisecond in place of more than two. For programs that make many, or want the first one soon. One
    /// process more, for as long as the program runs; and what workers have from the program (environment, directory,
    /// limits, standard streams) is what it had when `program` was made, not when the pool is.
    /// Pools may be made from any thread. No errors: where it is killed the next pool starts it once more, and where
    /// it cannot be had a pool starts a helper of its own.
    bool keep_helper = false;
};

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
    program(int argc, char** argv, program_options options = {});
    /// A kept helper ends; pools that are left live on.
    ~program();
    program(const program&) = delete;
    program& operator=(const program&) = delete;

  private:
    detail::kept_helper* kept_ = nullptr; // owned
};

} // namespace plait
