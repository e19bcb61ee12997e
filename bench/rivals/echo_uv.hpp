// SPDX-License-Identifier: Apache-2.0
#pragma once

#if __has_include(<uv.h>)
#define PLAIT_BENCH_UV 1
#include <array>
#include <uv.h>

namespace rivals {

struct uv_session {
    uv_tcp_t socket;
    uv_write_t request;
    std::array<char, 4096> buffer;
};

struct uv_server {
    uv_tcp_t door;
    int left;
};

inline void uv_end(uv_stream_t* s) {
    uv_close(reinterpret_cast<uv_handle_t*>(s),
             [](uv_handle_t* h) { delete static_cast<uv_session*>(h->data); });
}

inline void uv_got(uv_stream_t* s, ssize_t n, const uv_buf_t*) {
    auto* session = static_cast<uv_session*>(s->data);
    if (n < 0) return uv_end(s);
    const uv_buf_t out = uv_buf_init(session->buffer.data(), static_cast<unsigned>(n));
    uv_write(&session->request, s, &out, 1, [](uv_write_t*, int) {});
}

inline void uv_connected(uv_stream_t* door, int) {
    auto* server = static_cast<uv_server*>(door->data);
    auto* session = new uv_session;
    uv_tcp_init(door->loop, &session->socket);
    session->socket.data = session;
    auto* s = reinterpret_cast<uv_stream_t*>(&session->socket);
    if (uv_accept(door, s) != 0) return uv_end(s);
    uv_read_start(
        s,
        [](uv_handle_t* h, std::size_t, uv_buf_t* b) {
            auto& room = static_cast<uv_session*>(h->data)->buffer;
            *b = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
        },
        uv_got);
    if (--server->left == 0) uv_close(reinterpret_cast<uv_handle_t*>(door), nullptr);
}

inline void echo_uv(int listener, int connections) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_server server;
    server.left = connections;
    uv_tcp_init(&loop, &server.door);
    server.door.data = &server;
    uv_tcp_open(&server.door, listener);
    uv_listen(reinterpret_cast<uv_stream_t*>(&server.door), 4096, uv_connected);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

} // namespace rivals
#endif
