// SPDX-License-Identifier: Apache-2.0
#include "http/socket_names.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace plait::http::detail {
namespace {

using name_call = int (*)(int, sockaddr*, socklen_t*);

struct end_point {
    char address[INET6_ADDRSTRLEN] = "";
    std::uint16_t port = 0; // 0: not connected, or of another kind
};

end_point end_of(int fd, name_call call) {
    end_point out;
    sockaddr_storage raw{};
    socklen_t size = sizeof raw;
    if (call(fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0) return out;
    if (raw.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(raw);
        out.port = ntohs(v4.sin_port);
        (void)::inet_ntop(AF_INET, &v4.sin_addr, out.address, sizeof out.address);
    } else if (raw.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(raw);
        out.port = ntohs(v6.sin6_port);
        (void)::inet_ntop(AF_INET6, &v6.sin6_addr, out.address, sizeof out.address);
    }
    return out;
}

bool is(const end_point& end, const char* address, int port) {
    return end.port == port && std::strcmp(end.address, address) == 0;
}

} // namespace

void socket_names::remove(int fd) noexcept {
    if (std::erase(unnamed_, fd) != 0) return;
    const std::uint16_t port = end_of(fd, &::getsockname).port;
    const auto [first, last] = by_port_.equal_range(port);
    for (auto it = first; it != last; ++it)
        if (it->second == fd) {
            by_port_.erase(it);
            return;
        }
    // Its port is gone: a socket that was shut down may not tell it any more.
    std::erase_if(by_port_, [fd](const auto& named) { return named.second == fd; });
}

int socket_names::find(const char* peer, int peer_port, const char* local, int local_port) {
    std::erase_if(unnamed_, [this](int fd) {
        const std::uint16_t port = end_of(fd, &::getsockname).port;
        if (port == 0) return false;
        by_port_.emplace(port, fd);
        return true;
    });
    const auto [first, last] = by_port_.equal_range(static_cast<std::uint16_t>(local_port));
    if (first == last) return -1;
    if (std::next(first) == last) return first->second; // the only one: no need to ask
    for (auto it = first; it != last; ++it)
        if (is(end_of(it->second, &::getpeername), peer, peer_port) &&
            is(end_of(it->second, &::getsockname), local, local_port))
            return it->second;
    return -1;
}

} // namespace plait::http::detail
