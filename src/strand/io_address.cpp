// SPDX-License-Identifier: Apache-2.0
#include "strand/io_address.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/un.h>

namespace plait::detail {

socket_address parse_address(const char* what, const std::string& address, std::uint16_t port) {
    socket_address result;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&result.storage, &v4, sizeof v4);
        result.size = sizeof v4;
    } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&result.storage, &v6, sizeof v6);
        result.size = sizeof v6;
    } else {
        throw std::invalid_argument{
            std::string{what} + ": '" + address +
            "' is not a numeric IPv4 or IPv6 address; look names up with getaddrinfo in "
            "plait::offload"};
    }
    return result;
}

socket_address unix_address(const char* what, const std::string& path) {
    sockaddr_un local{};
    if (path.empty() || path.size() >= sizeof local.sun_path)
        throw std::invalid_argument{std::string{what} + ": the path '" + path + "' must have 1 to " +
                                    std::to_string(sizeof local.sun_path - 1) + " bytes"};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.data(), path.size());
    socket_address result;
    std::memcpy(&result.storage, &local, sizeof local);
    result.size = sizeof local;
    return result;
}

std::string address_text(const socket_address& a) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (a.family() == AF_INET) {
        sockaddr_in v4;
        std::memcpy(&v4, &a.storage, sizeof v4);
        ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        return std::string{text.data()} + ":" + std::to_string(ntohs(v4.sin_port));
    }
    if (a.family() == AF_INET6) {
        sockaddr_in6 v6;
        std::memcpy(&v6, &a.storage, sizeof v6);
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
        return std::string{"["} + text.data() + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    return "unix";
}

std::string peer_text(int fd) {
    socket_address a;
    a.size = sizeof a.storage;
    if (::getpeername(fd, a.get(), &a.size) != 0) return "a closed connection";
    return address_text(a);
}

std::uint16_t local_port_of(int fd) noexcept {
    socket_address a;
    a.size = sizeof a.storage;
    if (::getsockname(fd, a.get(), &a.size) != 0) return 0;
    sockaddr_in v4;
    sockaddr_in6 v6;
    switch (a.family()) {
    case AF_INET:
        std::memcpy(&v4, &a.storage, sizeof v4);
        return ntohs(v4.sin_port);
    case AF_INET6:
        std::memcpy(&v6, &a.storage, sizeof v6);
        return ntohs(v6.sin6_port);
    default:
        return 0;
    }
}

} // namespace plait::detail
