// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/io.hpp>

#include "strand/io_address.hpp"
#include "strand/io_stream.hpp"
#include "sys/errors.hpp"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <plait/time.hpp>
#include <sys/un.h>

namespace plait::io {

/// Makes handles from descriptors.
struct socket_access {
    template <class Handle>
    static Handle make(detail::unique_fd fd, unsigned known) {
        return Handle{new detail::stream{std::move(fd), known}};
    }
    static detail::stream* of(const socket& s) noexcept { return s.stream_; }
};

namespace {

using detail::socket_address;
using detail::stream;
using detail::throw_errno;
using detail::transfer;
using detail::unique_fd;

constexpr int socket_type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// Between two looks while the process is out of descriptors.
constexpr std::chrono::milliseconds accept_pause{100};

class quiet_transfer final : public transfer {
  public:
    using transfer::transfer;
    bool await_suspend(std::coroutine_handle<> h) noexcept {
        return writes() ? connect_or_wait(h) : accept_or_wait(h);
    }
    struct result {
        int error;
        int descriptor; // of `accept`
    };
    result await_resume() {
        finish_quietly();
        return {error_, static_cast<int>(done_)};
    }
};

void set_option(int fd, int level, int name, int value) noexcept {
    // What fails here costs speed at most: the socket works without.
    ::setsockopt(fd, level, name, &value, sizeof value);
}

socket connected(unique_fd fd) {
    return socket_access::make<socket>(std::move(fd), stream::readable | stream::writable);
}

unique_fd make_socket(const char* what, int family) {
    unique_fd fd{::socket(family, socket_type, 0)};
    if (!fd) throw_errno(std::string{what} + ": cannot make a socket");
    return fd;
}

listener listen_at(const char* what, const socket_address& address, const std::string& name,
                   listen_options options) {
    unique_fd fd = make_socket(what, address.family());
    if (address.family() != AF_UNIX) {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
        if (options.share_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (::bind(fd.get(), address.get(), address.size) != 0)
        throw_errno(std::string{what} + ": cannot bind to " + name);
    if (::listen(fd.get(), options.backlog) != 0)
        throw_errno(std::string{what} + ": cannot listen on " + name);
    return socket_access::make<listener>(std::move(fd), stream::readable);
}

task<socket> connect_to(const char* what, socket_address address, std::string name) {
    unique_fd fd = make_socket(what, address.family());
    if (address.family() != AF_UNIX) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    if (::connect(fd.get(), address.get(), address.size) == 0) {
        detail::running_scope().check();
        co_return connected(std::move(fd));
    }
    if (errno != EINPROGRESS) throw_errno(std::string{what} + ": cannot connect to " + name);
    // Watched from after the call on: an unconnected socket would report that it has been hung up.
    socket result = socket_access::make<socket>(std::move(fd), stream::readable);
    const auto done = co_await quiet_transfer{socket_access::of(result), transfer::kind::connect, nullptr, 1};
    if (done.error) throw_errno(done.error, std::string{what} + ": cannot connect to " + name);
    co_return result;
}

bool is_open_stream(detail::stream* s) noexcept {
    if (!s) return false;
    const detail::spin_guard guard{s->word()};
    return !s->closed();
}

std::uint16_t port_of(detail::stream* s) noexcept {
    if (!s) return 0;
    const detail::spin_guard guard{s->word()};
    return detail::local_port_of(s->descriptor());
}

void end(detail::stream* s) noexcept {
    if (!s) return;
    s->close();
    s->release_owner();
}

} // namespace

socket::~socket() { end(stream_); }
bool socket::is_open() const noexcept { return is_open_stream(stream_); }
std::uint16_t socket::local_port() const { return port_of(stream_); }
std::string socket::peer() const { return stream_ ? stream_->peer() : "nobody"; }

void socket::close() noexcept {
    if (stream_) stream_->close();
}

void socket::shutdown_write() {
    if (!stream_) return;
    int error = 0;
    {
        const detail::spin_guard guard{stream_->word()};
        // Not connected any more: there is nobody left to tell.
        if (!stream_->closed() && ::shutdown(stream_->descriptor(), SHUT_WR) != 0 && errno != ENOTCONN)
            error = errno;
    }
    if (error) throw_errno(error, "socket: cannot shut down writing to " + peer());
}

listener::~listener() { end(stream_); }
bool listener::is_open() const noexcept { return is_open_stream(stream_); }
std::uint16_t listener::local_port() const { return port_of(stream_); }

void listener::close() noexcept {
    if (stream_) stream_->close();
}

task<socket> listener::accept() {
    for (;;) {
        const auto [error, descriptor] = co_await quiet_transfer{stream_, transfer::kind::accept, nullptr, 1};
        if (error == 0) {
            unique_fd fd{descriptor};
            set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1); // a Unix socket has none, and says so
            co_return connected(std::move(fd));
        }
        switch (error) {
        case stream::closed_here:
            throw closed_error{"listener: cannot accept: it has been closed"};
        case stream::not_a_socket:
            throw std::logic_error{"listener: accept on one that was moved from"};
        case stream::two_at_once:
            throw std::logic_error{"listener: two tasks accept from it at the same time; let one task do it"};
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            break;
        default:
            throw_errno(error, "listener: cannot accept on port " + std::to_string(local_port()));
        }
        // No descriptors or no memory: no event will tell when there are some again.
        co_await sleep_for(accept_pause);
    }
}

listener listen(const std::string& address, std::uint16_t port, listen_options options) {
    const socket_address where = detail::parse_address("listen", address, port);
    return listen_at("listen", where, detail::address_text(where), options);
}

listener listen_unix(const std::string& path, listen_options options) {
    const socket_address where = detail::unix_address("listen_unix", path);
    // A path that nobody answers at is a leftover: binding to it would fail for ever.
    if (const unique_fd probe = make_socket("listen_unix", AF_UNIX);
        ::connect(probe.get(), where.get(), where.size) != 0 && errno == ECONNREFUSED)
        ::unlink(path.c_str());
    return listen_at("listen_unix", where, path, options);
}

task<socket> connect(std::string address, std::uint16_t port) {
    const socket_address where = detail::parse_address("connect", address, port);
    co_return co_await connect_to("connect", where, detail::address_text(where));
}

task<socket> connect_unix(std::string path) {
    const socket_address where = detail::unix_address("connect_unix", path);
    co_return co_await connect_to("connect_unix", where, std::move(path));
}

std::pair<socket, socket> connected_pair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, socket_type, 0, fds.data()) != 0)
        throw_errno("connected_pair: cannot make two sockets");
    unique_fd first{fds[0]};
    unique_fd second{fds[1]};
    socket one = connected(std::move(first));
    return {std::move(one), connected(std::move(second))};
}

} // namespace plait::io
