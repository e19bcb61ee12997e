// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/http.hpp>
#include <plait/time.hpp>

#include <chrono>
#include <optional>

#include "support/raw_server.hpp"

using namespace std::chrono_literals;
using plait::http::session;
using plait::test::raw_server;
using reply = raw_server::reply;

namespace {

plait::task<std::string> body_of(session& s, std::string url) {
    auto answer = co_await s.get(std::move(url));
    co_return std::move(answer.body);
}

raw_server::handler echo() {
    return [](const std::string& request, int) { return raw_server::ok(raw_server::path_of(request)); };
}

} // namespace

TEST(HttpLoop, ACoroutineGetsAnAnswer) {
    const raw_server server{echo()};
    session s;
    EXPECT_EQ(plait::run(body_of(s, server.url("/a"))), "/a");
}

TEST(HttpLoop, ConnectionsAreKeptBetweenRequests) {
    const raw_server server{echo()};
    session s;
    plait::run([](session& used, const raw_server& from) -> plait::task<> {
        for (int i = 0; i < 50; ++i) {
            const std::string path = "/" + std::to_string(i);
            EXPECT_EQ(co_await body_of(used, from.url(path)), path);
        }
    }(s, server));
    EXPECT_EQ(server.connections(), 1);
}

TEST(HttpLoop, ManyAtOnceOnOneLoop) {
    const raw_server server{echo()};
    session s;
    plait::event_loop loop;
    std::vector<plait::future<std::string>> bodies;
    for (int i = 0; i < 100; ++i)
        bodies.push_back(loop.submit(body_of, std::ref(s), server.url("/" + std::to_string(i))));
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(bodies[static_cast<std::size_t>(i)].get(), "/" + std::to_string(i));
}

TEST(HttpLoop, ASessionServesSeveralLoopsAndOutlivesThem) {
    const raw_server server{echo()};
    std::optional<session> s{std::in_place};
    EXPECT_EQ(plait::run(body_of(*s, server.url("/1"))), "/1");
    EXPECT_EQ(plait::run(body_of(*s, server.url("/2"))), "/2");
    plait::event_loop loop;
    EXPECT_EQ(loop.submit(body_of, std::ref(*s), server.url("/3")).get(), "/3");
    EXPECT_EQ(s->get_blocking(server.url("/4")).body, "/4");
    s.reset(); // while the loop's thread is alive
    EXPECT_EQ(loop.submit([] { return 5; }).get(), 5);
}

TEST(HttpLoop, ALargeBodyComesWhole) {
    const std::string large(20 << 20, 'x');
    const raw_server server{[&](const std::string&, int) { return raw_server::ok(large); }};
    session s;
    const std::string body = plait::run(body_of(s, server.url()));
    EXPECT_TRUE(body == large);
}

TEST(HttpLoop, AStallIsSeenWhileTheLoopSleeps) {
    const raw_server server{
        [](const std::string&, int) { return reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"}; }};
    session s;
    plait::http::request_options options;
    options.stall_timeout = 100ms;
    try {
        (void)plait::run(s.get(server.url(), options));
        FAIL();
    } catch (const plait::http::error& e) {
        EXPECT_EQ(e.cause(), plait::http::cause::stall);
        EXPECT_EQ(e.phase(), plait::http::phase::body);
    }
}

TEST(HttpLoop, C20_ACancelledGetEnds) {
    // The server never answers; what ends the request is the cancellation, and the session can be used again.
    const raw_server server{[](const std::string& request, int) {
        return raw_server::path_of(request) == "/never" ? reply{} : raw_server::ok("yes");
    }};
    session s;
    plait::event_loop loop;
    auto never = loop.submit(body_of, std::ref(s), server.url("/never"));
    while (server.requests().empty()) std::this_thread::yield();
    never.cancel();
    EXPECT_THROW((void)never.get(), plait::cancelled);
    EXPECT_EQ(loop.submit(body_of, std::ref(s), server.url("/now")).get(), "yes");
    EXPECT_EQ(server.connections(), 2);
}

TEST(HttpLoop, ATimeoutAroundAGetEndsIt) {
    const raw_server server{[](const std::string&, int) { return reply{}; }};
    session s;
    EXPECT_THROW((void)plait::run([](session& used, std::string url) -> plait::task<std::string> {
                     co_return co_await plait::timeout(50ms, body_of(used, std::move(url)));
                 }(s, server.url())),
                 plait::timeout_error);
}

TEST(HttpLoop, TheSecondGetOfACancelledTaskThrowsToo) {
    const raw_server server{[](const std::string& request, int) {
        return raw_server::path_of(request) == "/never" ? reply{} : raw_server::ok("yes");
    }};
    session s;
    int caught = 0;
    plait::event_loop loop;
    auto stubborn = loop.submit([&]() -> plait::task<> {
        for (const char* path : {"/never", "/2", "/3"}) {
            try {
                (void)co_await body_of(s, server.url(path));
            } catch (const plait::cancelled&) {
                ++caught;
            }
        }
    });
    while (server.requests().empty()) std::this_thread::yield();
    stubborn.cancel();
    stubborn.wait();
    EXPECT_EQ(caught, 3);
    EXPECT_EQ(server.requests().size(), 1U);
}
