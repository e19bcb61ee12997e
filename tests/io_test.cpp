// SPDX-License-Identifier: Apache-2.0
#include "support/sanitizer.hpp"

#include <plait/errors.hpp>
#include <plait/io.hpp>

#include <plait/event_loop.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <future>
#include <numeric>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <netinet/in.h>

namespace {

using namespace std::chrono_literals;
using plait::task;
using plait::io::listener;
using plait::io::socket;

using buffer = std::array<std::byte, 4096>;

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}
std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

task<void> echo(socket peer) {
    buffer b;
    while (const std::size_t n = co_await peer.read(b)) co_await peer.write_all(std::span{b}.first(n));
}

task<std::string> ask(std::uint16_t port, std::string question) {
    socket s = co_await plait::io::connect("127.0.0.1", port);
    co_await s.write_all(bytes(question));
    s.shutdown_write();
    std::string answer;
    buffer b;
    while (const std::size_t n = co_await s.read(b)) answer += text(std::span{b}.first(n));
    co_return answer;
}

TEST(Io, WhatIsSentOverTcpComesBackFromAnEchoServer) {
    plait::event_loop loop;
    const std::string answer = loop.run([](plait::event_loop& here) -> task<std::string> {
        listener door = plait::io::listen("127.0.0.1", 0);
        auto server = here.submit([&door]() -> task<void> { co_await echo(co_await door.accept()); });
        std::string got = co_await ask(door.local_port(), "hello");
        co_await server;
        co_return got;
    }(loop));
    EXPECT_EQ(answer, "hello");
}

TEST(Io, ThousandsOfConnectionsAreServedOneAfterTheOther) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        listener door = plait::io::listen("::1", 0);
        auto server = here.submit([&door, &here]() -> task<void> {
            for (int i = 0; i < 2000; ++i) {
                socket peer = co_await door.accept();
                here.post([s = std::move(peer)]() mutable { return echo(std::move(s)); });
            }
        });
        std::vector<plait::future<std::string>> clients;
        for (int round = 0; round < 20; ++round) {
            for (int i = 0; i < 100; ++i)
                clients.push_back(here.submit(
                    [](std::uint16_t port) -> task<std::string> {
                        socket s = co_await plait::io::connect("::1", port);
                        co_await s.write_all(bytes("x"));
                        std::array<std::byte, 1> b{};
                        co_await s.read_exactly(b);
                        co_return text(b);
                    },
                    door.local_port()));
            for (auto& c : clients) EXPECT_EQ(co_await c, "x");
            clients.clear();
        }
        co_await server;
    }(loop));
}

TEST(Io, MegabytesArriveWholeAndInOrderThroughSmallBuffers) {
    std::vector<unsigned> sent(2'000'000);
    std::iota(sent.begin(), sent.end(), 0U);
    std::vector<unsigned> received(sent.size());
    plait::event_loop loop;
    loop.run([](plait::event_loop& here, auto& from, auto& to) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        auto writer =
            here.submit([&]() -> task<void> { co_await a.write_all(std::as_bytes(std::span{from})); });
        co_await b.read_exactly(std::as_writable_bytes(std::span{to}));
        co_await writer;
    }(loop, sent, received));
    EXPECT_EQ(sent, received);
}

TEST(Io, AnEndedConnectionReadsAsZeroEachTime) {
    plait::run([]() -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        co_await a.write_all(bytes("last"));
        a.close();
        buffer into;
        EXPECT_EQ(co_await b.read(into), 4U);
        EXPECT_EQ(co_await b.read(into), 0U);
        EXPECT_EQ(co_await b.read(into), 0U);
    }());
}

TEST(Io, TheEndThatComesInOneEventWithTheDataIsSeen) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        auto reader = here.submit([&b]() -> task<std::size_t> {
            buffer into;
            const std::size_t n = co_await b.read(into);
            co_return n + co_await b.read(into);
        });
        co_await plait::yield(); // the reader waits
        co_await a.write_all(bytes("bye"));
        a.close();
        EXPECT_EQ(co_await reader, 3U);
    }(loop));
}

TEST(Io, AnEndBeforeTheLastByteSaysHowFarItCame) {
    plait::run([]() -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        co_await a.write_all(bytes("abc"));
        a.close();
        std::array<std::byte, 10> into{};
        std::string message;
        try {
            co_await b.read_exactly(into);
        } catch (const plait::closed_error& e) {
            message = e.what();
        }
        EXPECT_NE(message.find("3 of 10 bytes"), std::string::npos) << message;
    }());
}

TEST(Io, WritingToAPeerThatIsGoneThrowsClosedError) {
    plait::run([]() -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        b.close();
        std::string message;
        try {
            co_await a.write_all(bytes("anybody there?"));
        } catch (const plait::closed_error& e) {
            message = e.what();
        }
        EXPECT_NE(message.find("EPIPE"), std::string::npos) << message;
    }());
}

TEST(Io, ConnectingWhereNobodyListensThrowsWithTheAddress) {
    std::uint16_t port = 0;
    {
        const listener door = plait::io::listen("127.0.0.1", 0);
        port = door.local_port();
    }
    try {
        plait::run(plait::io::connect("127.0.0.1", port));
        FAIL() << "connected to nobody";
    } catch (const std::system_error& e) {
        EXPECT_EQ(e.code().value(), ECONNREFUSED);
        EXPECT_NE(std::string{e.what()}.find("127.0.0.1:" + std::to_string(port)), std::string::npos)
            << e.what();
    }
    EXPECT_THROW(plait::run(plait::io::connect("localhost", port)), std::invalid_argument);
}

TEST(Io, APortInUseIsRefusedByName) {
    const listener door = plait::io::listen("127.0.0.1", 0);
    EXPECT_THROW((void)plait::io::listen("127.0.0.1", door.local_port()), std::system_error);
}

TEST(Io, UnixSocketsWorkAndALeftoverIsReplaced) {
    const std::string path = ::testing::TempDir() + "plait-io-" + std::to_string(::getpid());
    for (int i = 0; i < 2; ++i) { // the second time the path is there
        plait::event_loop loop;
        loop.run([](plait::event_loop& here, const std::string& at) -> task<void> {
            listener door = plait::io::listen_unix(at);
            auto server = here.submit([&door]() -> task<void> { co_await echo(co_await door.accept()); });
            {
                socket s = co_await plait::io::connect_unix(at);
                EXPECT_EQ(s.peer(), "unix");
                co_await s.write_all(bytes("local"));
                std::array<std::byte, 5> b{};
                co_await s.read_exactly(b);
                EXPECT_EQ(text(b), "local");
            }
            co_await server;
        }(loop, path));
    }
    ::unlink(path.c_str());
}

TEST(Io, OnAPoolATaskReadsAndWritesAndIsOnItsPoolAfterwards) {
    plait::thread_pool pool{{.workers = 3}};
    plait::event_loop loop;
    auto door = plait::io::listen("127.0.0.1", 0);
    auto server = loop.submit([&door]() -> task<void> { co_await echo(co_await door.accept()); });
    auto client = pool.submit([&door]() -> task<std::string> {
        const plait::detail::worker* home = plait::detail::current().worker;
        std::string answer = co_await ask(door.local_port(), "from a pool");
        EXPECT_EQ(plait::detail::current().worker, home);
        co_return answer;
    });
    EXPECT_EQ(client.get(), "from a pool");
    server.get();
}

TEST(Io, ManyPairsTalkOnAPool) {
    plait::thread_pool pool{{.workers = 4}};
    std::vector<std::pair<socket, socket>> pairs;
    for (int i = 0; i < 16; ++i) pairs.push_back(plait::io::connected_pair());
    std::vector<plait::future<void>> tasks;
    for (auto& [a, b] : pairs) {
        tasks.push_back(pool.submit([&s = a]() -> task<void> {
            std::array<std::byte, 3> got{};
            for (int i = 0; i < 300; ++i) {
                co_await s.write_all(bytes("abc"));
                co_await s.read_exactly(got);
            }
            s.close();
        }));
        tasks.push_back(pool.submit([&s = b] { return echo(std::move(s)); }));
    }
    for (auto& t : tasks) EXPECT_NO_THROW(t.get());
}

TEST(Io, ASocketMovesOnFromALoopThatIsGone) {
    auto [a, b] = plait::io::connected_pair();
    for (int i = 0; i < 3; ++i) {
        plait::event_loop loop;
        loop.run([](plait::event_loop& here, socket& from, socket& to) -> task<void> {
            auto reader = here.submit([&to]() -> task<void> {
                std::array<std::byte, 2> got{};
                co_await to.read_exactly(got);
            });
            co_await plait::yield(); // it waits
            co_await from.write_all(bytes("ok"));
            co_await reader;
        }(loop, a, b));
    }
}

TEST(Io, OutOfDescriptorsAcceptWaitsForSomeAndDoesNotSpin) {
    if (address_sanitizer) GTEST_SKIP() << vptr_takes_a_descriptor;
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        listener door = plait::io::listen("127.0.0.1", 0);
        socket client = co_await plait::io::connect("127.0.0.1", door.local_port());
        std::vector<int> hoard; // all that are left
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit low = before;
        low.rlim_cur = 64;
        ::setrlimit(RLIMIT_NOFILE, &low);
        for (int fd = 0; (fd = ::dup(0)) >= 0;) hoard.push_back(fd);
        EXPECT_EQ(errno, EMFILE);
        bool accepted = false;
        auto acceptor = here.submit([&]() -> task<void> {
            co_await door.accept();
            accepted = true;
        });
        for (int i = 0; i < 100; ++i) co_await plait::yield();
        EXPECT_FALSE(accepted);
        for (const int fd : hoard) ::close(fd);
        ::setrlimit(RLIMIT_NOFILE, &before);
        co_await acceptor;
        EXPECT_TRUE(accepted);
    }(loop));
}

TEST(Io, OutsideOfATaskAnEmptySocketSaysWhatItIs) {
    plait::run([]() -> task<void> {
        socket nobody;
        EXPECT_FALSE(nobody.is_open());
        bool refused = false;
        try {
            buffer into;
            co_await nobody.read(into);
        } catch (const std::logic_error&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    }());
}

} // namespace
