// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace plait::http::detail {

/// Finds our sockets by what libcurl says of a connection: both addresses and both ports.
///
/// The local port alone is no name: Linux gives the same one to connections with different destinations.
///
/// Threads:  one at a time.
class socket_names {
  public:
    /// A socket that may not be connected yet.
    void add(int fd) { unnamed_.push_back(fd); }
    /// Before it is closed.
    void remove(int fd) noexcept;
    /// -1 if it is none of ours.
    [[nodiscard]] int find(const char* peer, int peer_port, const char* local, int local_port);

  private:
    std::vector<int> unnamed_; // their local port is not known yet
    std::unordered_multimap<std::uint16_t, int> by_port_;
};

} // namespace plait::http::detail
