// SPDX-License-Identifier: Apache-2.0
#include "http/socket_names.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "sys/unique_fd.hpp"

using plait::detail::unique_fd;
using plait::http::detail::socket_names;

namespace {

sockaddr_in address_of(const char* host, int port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::inet_pton(AF_INET, host, &out.sin_addr), 1);
    return out;
}

/// A TCP socket that is bound so, and may share its port.
unique_fd bound(const char* host, int port) {
    unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int on = 1;
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    const sockaddr_in address = address_of(host, port);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
}

int port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
}

unique_fd listener(const char* host) {
    unique_fd fd = bound(host, 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    return fd;
}

void connect(int fd, const char* host, int port) {
    const sockaddr_in address = address_of(host, port);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

} // namespace

TEST(SocketNames, TwoDestinationsMayShareALocalPort) {
    const unique_fd one = listener("127.0.0.1");
    const unique_fd two = listener("127.0.0.2");
    const unique_fd first = bound("127.0.0.1", 0);
    const int port = port_of(first.get());
    const unique_fd second = bound("127.0.0.1", port);
    socket_names names;
    names.add(first.get());
    names.add(second.get());
    connect(first.get(), "127.0.0.1", port_of(one.get()));
    connect(second.get(), "127.0.0.2", port_of(two.get()));
    const auto find = [&](const char* peer, int peer_port) {
        return names.find(peer, peer_port, "127.0.0.1", port);
    };
    EXPECT_EQ(find("127.0.0.1", port_of(one.get())), first.get());
    EXPECT_EQ(find("127.0.0.2", port_of(two.get())), second.get());
    EXPECT_EQ(find("127.0.0.3", port_of(two.get())), -1);
    names.remove(second.get());
    EXPECT_EQ(find("127.0.0.1", port_of(one.get())), first.get());
    names.remove(first.get());
    EXPECT_EQ(find("127.0.0.1", port_of(one.get())), -1);
}

TEST(SocketNames, ASocketIsFoundOnceItIsConnected) {
    const unique_fd there = listener("127.0.0.1");
    const unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    socket_names names;
    names.add(fd.get());
    EXPECT_EQ(names.find("127.0.0.1", port_of(there.get()), "127.0.0.1", 1), -1);
    connect(fd.get(), "127.0.0.1", port_of(there.get()));
    EXPECT_EQ(names.find("127.0.0.1", port_of(there.get()), "127.0.0.1", port_of(fd.get())), fd.get());
    names.remove(fd.get());
}
