// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace plait::detail {

/// A socket's address, of whatever family.
struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
};

/// A numeric IPv4 or IPv6 address; throws invalid_argument that names `what`, the function that was called.
socket_address parse_address(const char* what, const std::string& address, std::uint16_t port);
/// Throws invalid_argument if the path is too long for a socket's address.
socket_address unix_address(const char* what, const std::string& path);

/// "127.0.0.1:4711", "[::1]:4711", "unix".
std::string address_text(const socket_address& a);
/// Of the other side; "a closed connection" if there is none any more.
std::string peer_text(int fd);
/// 0 if it has none.
std::uint16_t local_port_of(int fd) noexcept;

} // namespace plait::detail
