// SPDX-License-Identifier: Apache-2.0
// An echo server: every connection a coroutine, all of them on one thread. `echo 7007`, and then `nc
// 127.0.0.1 7007`. Ctrl-C ends it in order: the tasks are cancelled, the sockets closed.
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/io.hpp>
#include <plait/task_group.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace {

plait::task<void> echo(plait::io::socket peer) {
    try {
        std::array<std::byte, 4096> buffer;
        while (const std::size_t n = co_await peer.read(buffer))
            co_await peer.write_all(std::span{buffer}.first(n));
    } catch (const std::exception& e) { // this connection's trouble, and nobody else's
        std::fprintf(stderr, "%s\n", e.what());
    }
}

plait::task<void> serve(plait::io::listener door) {
    std::printf("listening on port %u\n", unsigned{door.local_port()});
    std::fflush(stdout);
    auto accept_all = [&door](plait::task_group& connections) -> plait::task<void> {
        for (;;) connections.spawn(echo, co_await door.accept());
    };
    co_await plait::with_group(accept_all);
}

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    plait::run(serve(plait::io::listen("127.0.0.1", port)), {.interrupt = true});
} catch (const plait::interrupted&) {
    return 130;
} catch (const std::exception& e) {
    std::fprintf(stderr, "echo: %s\n", e.what());
    return 1;
}
