// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include <plait/fetch.hpp>

namespace plait::fetch {

/// How many do the work, and on how many connections in all.
struct crew_size {
    std::size_t workers = 1;
    std::size_t connections = 1; // at least as many as workers
    bool operator==(const crew_size&) const noexcept = default;
};

/// What the options ask for, defaults filled in.
[[nodiscard]] crew_size size_wanted(const options& what) noexcept;

/// As much of it as a limit of descriptors allows: first connections are given up, then workers too; at least
/// one of each is left.
///
/// A connection takes one for its socket and one for its file. Each worker's engine has an epoll descriptor
/// and libcurl's pair to wake it up; a loop has two more. Kept connections count like busy ones, see
/// kept_of(). 32 are for everything else: the run's own loop, the report, the list, look-ups.
[[nodiscard]] crew_size size_for(std::size_t descriptors, strategy executor, crew_size wanted) noexcept;

/// Raises the soft limit of descriptors to the hard one if that helps, and gives what it allows; `note` says
/// so if that is less.
[[nodiscard]] crew_size fit(const options& what, std::string& note);

/// How many idle connections each engine keeps: in all no more than may be in flight. Worker processes have
/// limits of their own.
[[nodiscard]] std::size_t kept_of(strategy executor, crew_size size) noexcept;

} // namespace plait::fetch
