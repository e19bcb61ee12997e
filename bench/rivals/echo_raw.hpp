// SPDX-License-Identifier: Apache-2.0
#pragma once

// The zero point: the least that a loop can do. One edge-triggered registration for a connection; a read, a
// write and a share of one epoll_wait for a message.
#include <array>
#include <cerrno>
#include <cstdlib>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rivals {

inline void echo_raw(int listener, int connections) {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    const auto watch = [epoll](int fd) {
        epoll_event e{};
        e.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
        e.data.fd = fd;
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) std::abort();
    };
    watch(listener);
    std::array<epoll_event, 256> events;
    std::array<char, 4096> buffer;
    int accepted = 0;
    int ended = 0;
    while (ended < connections) {
        const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < n; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == listener) {
                for (int peer = 0; accepted < connections; ++accepted) {
                    if ((peer = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
                        break;
                    watch(peer);
                }
                continue;
            }
            for (;;) {
                const ssize_t got = ::read(fd, buffer.data(), buffer.size());
                if (got <= 0) {
                    if (got < 0 && errno == EAGAIN) break;
                    ::close(fd);
                    ++ended;
                    break;
                }
                if (::write(fd, buffer.data(), static_cast<std::size_t>(got)) != got)
                    std::abort(); // 64 bytes always fit
                if (!(events[static_cast<std::size_t>(i)].events & EPOLLRDHUP) && got < 4096)
                    break; // used up
            }
        }
    }
    ::close(epoll);
}

} // namespace rivals
