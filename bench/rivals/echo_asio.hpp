// SPDX-License-Identifier: Apache-2.0
#pragma once

#if __has_include(<boost/asio.hpp>)
#define PLAIT_BENCH_ASIO 1
#include <utility> // Boost 1.74 forgets it

#include <boost/asio.hpp>

#include <array>
#include <cstddef>
#include <memory>

namespace rivals {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

inline tcp::acceptor asio_acceptor(asio::io_context& loop, int listener) {
    return tcp::acceptor{loop, tcp::v4(), listener};
}

class asio_session : public std::enable_shared_from_this<asio_session> {
  public:
    explicit asio_session(tcp::socket s) : socket_{std::move(s)} {}
    void read() {
        socket_.async_read_some(asio::buffer(buffer_),
                                [self = shared_from_this()](auto error, std::size_t n) {
                                    if (!error) self->write(n);
                                });
    }

  private:
    void write(std::size_t n) {
        asio::async_write(socket_, asio::buffer(buffer_, n),
                          [self = shared_from_this()](auto error, std::size_t) {
                              if (!error) self->read();
                          });
    }
    tcp::socket socket_;
    std::array<char, 4096> buffer_;
};

inline void asio_accept(tcp::acceptor& door, int left) {
    if (left == 0) return;
    door.async_accept([&door, left](auto error, tcp::socket s) {
        if (error) return;
        std::make_shared<asio_session>(std::move(s))->read();
        asio_accept(door, left - 1);
    });
}

inline void echo_asio_callbacks(int listener, int connections) {
    asio::io_context loop{1};
    tcp::acceptor door = asio_acceptor(loop, listener);
    asio_accept(door, connections);
    loop.run();
}

inline asio::awaitable<void> asio_echo(tcp::socket s) {
    std::array<char, 4096> buffer;
    try {
        for (;;) {
            const std::size_t n = co_await s.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(s, asio::buffer(buffer, n), asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) {
        // the end
    }
}

inline asio::awaitable<void> asio_serve(tcp::acceptor& door, int connections) {
    for (; connections > 0; --connections)
        asio::co_spawn(door.get_executor(), asio_echo(co_await door.async_accept(asio::use_awaitable)),
                       asio::detached);
}

inline void echo_asio_coroutines(int listener, int connections) {
    asio::io_context loop{1};
    tcp::acceptor door = asio_acceptor(loop, listener);
    asio::co_spawn(loop, asio_serve(door, connections), asio::detached);
    loop.run();
}

} // namespace rivals
#endif
