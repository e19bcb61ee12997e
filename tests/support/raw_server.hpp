// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sys/unique_fd.hpp"

namespace plait::test {

/// A server that says exactly what the test wants, on a free port of 127.0.0.1. One thread serves one
/// connection after the other as they have something to say.
class raw_server {
  public:
    /// What is sent back for a request; `close` ends the connection after it.
    struct reply {
        std::string bytes;
        bool close = false;
    };
    /// `request`: everything up to the empty line. `connection`: 0 for the first one that was accepted.
    using handler = std::function<reply(const std::string& request, int connection)>;

    explicit raw_server(handler answer) : answer_(std::move(answer)), stop_(::eventfd(0, EFD_CLOEXEC)) {
        listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 128) != 0 ||
            ::getsockname(listener_.get(), generic, &size) != 0)
            throw std::runtime_error("raw_server: no port");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~raw_server() {
        const std::uint64_t one = 1;
        (void)!::write(stop_.get(), &one, sizeof one);
        thread_.join();
    }
    raw_server(const raw_server&) = delete;
    raw_server& operator=(const raw_server&) = delete;

    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(const std::string& path = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    [[nodiscard]] int connections() const { return connections_; }
    /// All requests so far, in order.
    [[nodiscard]] std::vector<std::string> requests() const {
        const std::lock_guard lock{mutex_};
        return requests_;
    }

    static reply ok(const std::string& body, const std::string& headers = {}) {
        return {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
                "\r\n" + body};
    }
    /// The second word of a request.
    static std::string path_of(const std::string& request) {
        const auto first = request.find(' ') + 1;
        return request.substr(first, request.find(' ', first) - first);
    }

  private:
    struct peer {
        detail::unique_fd fd;
        int number;
        std::string text;
    };

    void serve() {
        std::vector<peer> peers;
        for (;;) {
            std::vector<pollfd> polls{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
            for (const peer& p : peers) polls.push_back({p.fd.get(), POLLIN, 0});
            ::poll(polls.data(), polls.size(), -1);
            if (polls[0].revents != 0) return;
            for (std::size_t i = polls.size(); i-- > 2;)
                if (polls[i].revents != 0 && !talk(peers[i - 2]))
                    peers.erase(peers.begin() + static_cast<long>(i - 2));
            if (polls[1].revents != 0) {
                detail::unique_fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
                if (fd) peers.push_back({std::move(fd), connections_++, {}});
            }
        }
    }

    bool talk(peer& p) {
        char buffer[4096];
        const ssize_t got = ::recv(p.fd.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        p.text.append(buffer, static_cast<std::size_t>(got));
        for (auto end = p.text.find("\r\n\r\n"); end != std::string::npos; end = p.text.find("\r\n\r\n")) {
            const std::string request = p.text.substr(0, end + 2);
            p.text.erase(0, end + 4);
            {
                const std::lock_guard lock{mutex_};
                requests_.push_back(request);
            }
            const reply r = answer_(request, p.number);
            for (std::size_t sent = 0; sent < r.bytes.size();) {
                const ssize_t n =
                    ::send(p.fd.get(), r.bytes.data() + sent, r.bytes.size() - sent, MSG_NOSIGNAL);
                if (n <= 0) return false;
                sent += static_cast<std::size_t>(n);
            }
            if (r.close) return false;
        }
        return true;
    }

    handler answer_;
    detail::unique_fd listener_;
    detail::unique_fd stop_;
    int port_ = 0;
    std::atomic<int> connections_{0};
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::thread thread_;
};

} // namespace plait::test
