// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/io.hpp>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/serial.hpp>
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
#include <thread>
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
// Fills the socket's way out, so that the next write has to wait.
task<void> fill(socket& s) {
    const std::vector<std::byte> much(1 << 16);
    try {
        for (;;)
            co_await plait::timeout(1ms, [](socket& to, std::span<const std::byte> from) -> task<void> {
                co_await to.write_all(from);
            }(s, much));
    } catch (const plait::timeout_error&) {}
}

template <class T>
task<bool> is_cancelled(plait::future<T>& f) {
    try {
        co_await f;
    } catch (const plait::cancelled&) {
        co_return true;
    }
    co_return false;
}

TEST(IoCancel, C20_ACancelledReadEndsAtOnceAndHasTakenNothing) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        auto reader = here.submit([&b]() -> task<std::size_t> {
            buffer into;
            co_return co_await b.read(into);
        });
        co_await plait::yield();
        reader.cancel();
        EXPECT_TRUE(co_await is_cancelled(reader));
        co_await a.write_all(bytes("still here"));
        buffer into;
        EXPECT_EQ(co_await b.read(into), 10U);
    }(loop));
}

TEST(IoCancel, C20_ACancelledWriteAcceptAndConnectEndAtOnce) {
    // A queue of connections that is full: the next one has to wait for its handshake.
    const int raw = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    ASSERT_EQ(::bind(raw, reinterpret_cast<sockaddr*>(&where), size), 0);
    ASSERT_EQ(::listen(raw, 0), 0);
    ::getsockname(raw, reinterpret_cast<sockaddr*>(&where), &size);

    plait::event_loop loop;
    loop.run([](plait::event_loop& here, std::uint16_t full) -> task<void> {
        listener door = plait::io::listen("127.0.0.1", 0);
        auto acceptor = here.submit([&door]() -> task<void> { co_await door.accept(); });
        co_await plait::yield();
        acceptor.cancel();
        EXPECT_TRUE(co_await is_cancelled(acceptor));

        auto [a, b] = plait::io::connected_pair();
        co_await fill(a);
        auto writer = here.submit([&a]() -> task<void> { co_await a.write_all(bytes("more")); });
        co_await plait::yield();
        writer.cancel();
        EXPECT_TRUE(co_await is_cancelled(writer));

        std::vector<plait::future<socket>> waiting;
        for (int i = 0; i < 4; ++i)
            waiting.push_back(here.submit([full] { return plait::io::connect("127.0.0.1", full); }));
        for (int i = 0; i < 4; ++i) co_await plait::yield();
        for (auto& w : waiting) w.cancel();
        EXPECT_TRUE(co_await is_cancelled(waiting.back()));
    }(loop, ntohs(where.sin_port)));
    ::close(raw);
}

TEST(IoCancel, C20_OnAPoolACancelledReadEndsToo) {
    plait::thread_pool pool{{.workers = 2}};
    auto [a, b] = plait::io::connected_pair();
    for (int i = 0; i < 200; ++i) {
        auto reader = pool.submit([&b]() -> task<std::size_t> {
            buffer into;
            co_return co_await b.read(into);
        });
        auto writer = pool.submit([&a]() -> task<void> { co_await a.write_all(bytes("x")); });
        reader.cancel(); // before, while or after it reads
        writer.get();
        std::size_t n = 0;
        try {
            n = reader.get();
        } catch (const plait::cancelled&) {}
        EXPECT_LE(n, 1U);
        if (n == 1) continue;
        auto again = pool.submit([&b]() -> task<std::size_t> {
            buffer into;
            co_return co_await b.read(into);
        });
        EXPECT_EQ(again.get(), 1U) << "a cancelled read has taken what was sent";
    }
}

TEST(IoCancel, AWaitInAStoppedScopeThrowsAlthoughThereIsData) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        co_await a.write_all(bytes("data"));
        auto reader = here.submit([&b]() -> task<void> {
            try {
                co_await plait::sleep_for(1h);
            } catch (const plait::cancelled&) {}
            buffer into;
            co_await b.read(into);
        });
        co_await plait::yield();
        reader.cancel();
        EXPECT_TRUE(co_await is_cancelled(reader));
    }(loop));
}

TEST(IoCancel, ATimeoutEndsAReadAndTheSocketCanBeUsedAgain) {
    plait::run([]() -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        buffer into;
        const auto read = [](socket& s, buffer& to) -> task<std::size_t> { co_return co_await s.read(to); };
        bool late = false;
        try {
            co_await plait::timeout(1ms, read(b, into));
        } catch (const plait::timeout_error&) {
            late = true;
        }
        EXPECT_TRUE(late);
        co_await a.write_all(bytes("later"));
        EXPECT_EQ(co_await plait::timeout(1h, read(b, into)), 5U);
    }());
}

TEST(IoCancel, ClosingWakesReaderWriterAndAcceptorWithClosedError) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        listener door = plait::io::listen("127.0.0.1", 0);
        co_await fill(a);
        auto reader = here.submit([&a]() -> task<void> {
            buffer into;
            co_await a.read(into);
        });
        auto writer = here.submit([&a]() -> task<void> { co_await a.write_all(bytes("more")); });
        auto acceptor = here.submit([&door]() -> task<void> { co_await door.accept(); });
        co_await plait::yield();
        a.close();
        door.close();
        int closed = 0;
        for (auto* f : {&reader, &writer, &acceptor}) {
            try {
                co_await *f;
            } catch (const plait::closed_error&) {
                ++closed;
            }
        }
        EXPECT_EQ(closed, 3);
        EXPECT_FALSE(a.is_open());
        buffer into;
        EXPECT_EQ(co_await plait::timeout(1h,
                                          [](socket& s, buffer& to) -> task<int> {
                                              try {
                                                  co_await s.read(to);
                                              } catch (const plait::closed_error&) {
                                                  co_return 1;
                                              }
                                              co_return 0;
                                          }(a, into)),
                  1);
    }(loop));
}

TEST(IoCancel, AnotherThreadMayCloseWhatALoopReads) {
    plait::event_loop loop;
    for (int i = 0; i < 200; ++i) {
        auto pair = plait::io::connected_pair();
        auto reader = loop.submit([&s = pair.first]() -> task<std::size_t> {
            buffer into;
            co_return co_await s.read(into);
        });
        pair.first.close();
        EXPECT_THROW(reader.get(), plait::closed_error);
    }
}

TEST(IoCancel, WhatALoopReadsMayBeWrittenCancelledAndClosedByOthersAtTheSameTime) {
    plait::event_loop loop;
    for (int i = 0; i < 500; ++i) {
        auto [a, b] = plait::io::connected_pair();
        auto reader = loop.submit([&b]() -> task<void> {
            buffer into;
            try {
                while (const std::size_t n = co_await b.read(into)) EXPECT_LE(n, into.size());
            } catch (const plait::closed_error&) {}
        });
        std::thread canceller{[&reader, i] {
            if (i % 3 != 0) reader.cancel();
        }};
        std::thread closer{[&b, i] {
            if (i % 3 != 1) b.close();
        }};
        try {
            loop.submit([&a]() -> task<void> {
                    for (int n = 0; n < 3; ++n) co_await a.write_all(bytes("x"));
                    a.close();
                })
                .get();
        } catch (const plait::closed_error&) {}
        canceller.join();
        closer.join();
        try {
            reader.get();
        } catch (const plait::cancelled&) {}
    }
}

TEST(IoCancel, EventsAreToldOneByOneSoThatTheFirstTaskMayCancelTheNext) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        auto [c, d] = plait::io::connected_pair();
        plait::future<std::size_t> second;
        auto first = here.submit([&]() -> task<void> {
            buffer into;
            co_await b.read(into);
            second.cancel();
        });
        second = here.submit([&]() -> task<std::size_t> {
            buffer into;
            co_return co_await d.read(into);
        });
        co_await plait::sleep_for(1ms); // both wait
        co_await a.write_all(bytes("one"));
        co_await c.write_all(bytes("two"));
        co_await first;
        EXPECT_TRUE(co_await is_cancelled(second));
        buffer into;
        EXPECT_EQ(co_await d.read(into), 3U); // it has taken nothing
    }(loop));
}

TEST(IoCancel, ATaskThatIsToldMayDriveTheLoopWhichTellsTheOthers) {
    plait::serial line;
    auto [a, b] = plait::io::connected_pair();
    auto [c, d] = plait::io::connected_pair();
    plait::promise<int> told;
    auto all = line.submit([&]() -> task<void> {
        co_await plait::gather(
            [](auto& from, auto& executor, auto& until) -> task<void> {
                buffer into;
                co_await from.read(into);
                // Driven here and now, on the same loop, by the thread that has told us.
                auto inner =
                    executor.submit([&until]() -> task<int> { co_return co_await until.get_future(); });
                EXPECT_EQ(inner.get(), 7);
            }(b, line, told),
            [](auto& from, auto& until) -> task<void> {
                buffer into;
                co_await from.read(into); // of the same batch
                until.set_value(7);
            }(d, told),
            [](auto& one, auto& two) -> task<void> {
                co_await plait::sleep_for(1ms);
                co_await one.write_all(bytes("x"));
                co_await two.write_all(bytes("y"));
            }(a, c));
    });
    all.get();
}

TEST(IoCancel, TwoReadersAtOnceAreRefused) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        auto first = here.submit([&b]() -> task<std::size_t> {
            buffer into;
            co_return co_await b.read(into);
        });
        co_await plait::yield();
        bool refused = false;
        try {
            buffer into;
            co_await b.read(into);
        } catch (const std::logic_error&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
        co_await a.write_all(bytes("one"));
        EXPECT_EQ(co_await first, 3U);
    }(loop));
}

TEST(IoCancel, C28_AnAlwaysReadySocketStarvesNeitherTimersNorTasks) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        a.close(); // from now on every read is ready: the end
        bool stop = false;
        auto busy = here.submit([&b, &stop]() -> task<std::uint64_t> {
            buffer into;
            std::uint64_t reads = 0;
            while (!stop) reads += 1 + co_await b.read(into);
            co_return reads;
        });
        co_await plait::sleep_for(5ms);
        stop = true;
        EXPECT_GT(co_await busy, 128U);
    }(loop));
}

TEST(IoCancel, C28_TasksThatAreAlwaysReadyDoNotKeepASocketWaiting) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here) -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        bool stop = false;
        const auto spin = [&stop]() -> task<void> {
            while (!stop) co_await plait::yield();
        };
        auto one = here.submit(spin);
        auto two = here.submit(spin);
        for (int i = 0; i < 50; ++i) { // while they never let the loop run dry
            auto read = here.submit([&end = b]() -> task<std::size_t> {
                buffer into;
                co_return co_await end.read(into);
            });
            co_await plait::yield(); // it waits for the socket
            co_await a.write_all(bytes("x"));
            EXPECT_EQ(co_await read, 1U);
        }
        stop = true;
        co_await one;
        co_await two;
    }(loop));
}

TEST(IoCancel, ATimeoutTakesTheWaitItself) {
    plait::event_loop loop;
    loop.run([]() -> task<void> {
        auto [a, b] = plait::io::connected_pair();
        buffer into;
        bool late = false;
        try {
            (void)co_await plait::timeout(1ms, b.read(into));
        } catch (const plait::timeout_error&) {
            late = true;
        }
        EXPECT_TRUE(late);
        co_await a.write_all(bytes("ok"));
        const auto [n, slept] = co_await plait::gather(b.read(into), plait::sleep_for(1ms));
        EXPECT_EQ(n, 2U);
    }());
}

} // namespace
