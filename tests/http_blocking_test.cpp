// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <plait/event_loop.hpp>
#include <plait/http.hpp>

#include <chrono>

#include "http/session_state.hpp"
#include "support/raw_server.hpp"

using namespace std::chrono_literals;
using plait::http::cause;
using plait::http::request_options;
using plait::http::session;
using plait::test::raw_server;
using reply = raw_server::reply;

namespace {

cause failure_of(const std::string& url, request_options options = {}) {
    session s;
    try {
        const auto answer = s.get_blocking(url, std::move(options));
        ADD_FAILURE() << url << " gave " << answer.status;
        return cause::status;
    } catch (const plait::http::error& e) {
        return e.cause();
    }
}

/// The cause of failure when the server sends exactly these bytes and closes.
cause failure_of_bytes(const std::string& bytes, const request_options& options = {}) {
    const raw_server server{[&](const std::string&, int) { return reply{bytes, true}; }};
    return failure_of(server.url(), options);
}

} // namespace

TEST(Http, ABlockingGetGivesStatusHeadersAndBody) {
    const raw_server server{
        [](const std::string&, int) { return raw_server::ok("hello", "X-Thing:  some thing \r\n"); }};
    session s;
    const auto answer = s.get_blocking(server.url("/a?b#c"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.ok());
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(answer.bytes, 5U);
    EXPECT_EQ(answer.headers.find("x-THING"), "some thing");
    EXPECT_FALSE(answer.headers.contains("thing"));
    EXPECT_EQ(answer.effective_url, server.url("/a?b"));
    EXPECT_NE(server.requests().at(0).find("GET /a?b HTTP/1.1\r\n"), std::string::npos);
    EXPECT_NE(server.requests().at(0).find("User-Agent: plait/"), std::string::npos);
}

TEST(Http, AConnectionIsUsedAgain) {
    const raw_server server{[](const std::string&, int) { return raw_server::ok("x"); }};
    session s;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(s.get_blocking(server.url()).body, "x");
    EXPECT_EQ(server.connections(), 1);
}

TEST(Http, AStatusIsAnAnswerUntilAskedFor) {
    const raw_server server{[](const std::string&, int) {
        return reply{"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"};
    }};
    session s;
    const auto answer = s.get_blocking(server.url("/x"));
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body, "gone");
    try {
        answer.raise_for_status();
        FAIL();
    } catch (const plait::http::error& e) {
        EXPECT_EQ(e.status(), 404);
        EXPECT_EQ(e.cause(), cause::status);
        EXPECT_NE(std::string{e.what()}.find(server.url("/x")), std::string::npos);
    }
}

TEST(Http, CredentialsAndHeadersBelongToOneRequest) {
    const raw_server server{[](const std::string&, int) { return raw_server::ok("x"); }};
    session s;
    request_options options;
    options.headers = {"X-Secret: 1"};
    const std::string with = "http://me:pw@127.0.0.1:" + std::to_string(server.port()) + "/";
    (void)s.get_blocking(with, options);
    (void)s.get_blocking(server.url());
    const auto requests = server.requests();
    EXPECT_NE(requests.at(0).find("Authorization: Basic"), std::string::npos);
    EXPECT_NE(requests.at(0).find("X-Secret: 1"), std::string::npos);
    EXPECT_EQ(requests.at(1).find("Authorization"), std::string::npos);
    EXPECT_EQ(requests.at(1).find("X-Secret"), std::string::npos);
}

TEST(Http, RedirectsAreFollowedAndSecretsStayAtHome) {
    const raw_server other{[](const std::string&, int) { return raw_server::ok("there"); }};
    const raw_server server{[&](const std::string& request, int) {
        const std::string path = raw_server::path_of(request);
        if (path == "/start")
            return reply{"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 3\r\n\r\nxyz"};
        return reply{"HTTP/1.1 301 Moved\r\nLocation: " + other.url("/end") +
                     "\r\nContent-Length: 0\r\n\r\n"};
    }};
    session s;
    request_options options;
    options.headers = {"X-Api-Key: secret", "Cookie: a=b", "Authorization: Bearer x", "Accept: text/plain"};
    const auto answer =
        s.get_blocking("http://me:pw@127.0.0.1:" + std::to_string(server.port()) + "/start", options);
    EXPECT_EQ(answer.body, "there");
    EXPECT_EQ(answer.effective_url, other.url("/end"));
    const auto first = server.requests();
    ASSERT_EQ(first.size(), 2U);
    for (const std::string& request : first) EXPECT_NE(request.find("X-Api-Key: secret"), std::string::npos);
    const std::string last = other.requests().at(0);
    for (const char* secret : {"X-Api-Key", "Cookie", "Authorization"})
        EXPECT_EQ(last.find(secret), std::string::npos) << secret;
    EXPECT_NE(last.find("Accept: text/plain"), std::string::npos);
}

TEST(Http, RedirectsHaveAnEnd) {
    const raw_server server{[](const std::string&, int) {
        return reply{"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"};
    }};
    EXPECT_EQ(failure_of(server.url()), cause::redirect);
    EXPECT_EQ(server.requests().size(), 11U);
}

TEST(Http, RedirectsToOtherSchemesAndMetadataAreRefused) {
    for (const char* target :
         {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/x", "http://169.254.169.254/latest",
          "http://[fd00:ec2::254]/", "http://2852039166/"})
        EXPECT_EQ(failure_of_bytes(std::string{"HTTP/1.1 302 Found\r\nLocation: "} + target +
                                   "\r\nContent-Length: 0\r\n\r\n"),
                  cause::redirect)
            << target;
}

TEST(Http, ARedirectOfAPublicServerReachesNoPrivateOne) {
    using namespace plait::http::detail;
    const raw_server server{[](const std::string&, int) { return raw_server::ok("x"); }};
    session s;
    exchange hop;
    hop.what.redirected = hop.what.from_public = true;
    hop.what.url = server.url("/secret");
    blocking_engine engine{s.internals()};
    EXPECT_TRUE(engine.perform(hop));
    EXPECT_EQ(hop.result.failure, cause::redirect);
    EXPECT_EQ(server.connections(), 0); // not even a connection

    exchange direct;
    direct.what.url = server.url("/open");
    EXPECT_TRUE(engine.perform(direct));
    EXPECT_EQ(direct.result.status, 200);
    hop.what.fresh = false;
    EXPECT_TRUE(engine.perform(hop)); // nor over one that is there
    EXPECT_EQ(hop.result.failure, cause::redirect);
    EXPECT_EQ(server.requests().size(), 1U);

    hop.what.from_public = false;
    EXPECT_TRUE(engine.perform(hop));
    EXPECT_EQ(hop.result.status, 200);
}

TEST(Http, AnAnswerThatLeadsNowhereKeepsItsBody) {
    for (const char* status : {"300 Multiple Choices", "305 Use Proxy", "302 Found"}) {
        const raw_server server{[&](const std::string&, int) {
            return reply{std::string{"HTTP/1.1 "} + status + "\r\nContent-Length: 4\r\n\r\nbody"};
        }};
        session s;
        EXPECT_EQ(s.get_blocking(server.url()).body, "body") << status;
    }
}

TEST(Http, ShortBodiesAreFailures) {
    EXPECT_EQ(failure_of_bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), cause::short_body);
    EXPECT_EQ(failure_of_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
              cause::short_body);
    EXPECT_EQ(failure_of_bytes(""), cause::connect);
}

TEST(Http, AnswersThatBreakTheProtocolAreFailures) {
    for (const char* bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Length: 1000\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "nonsense\r\n\r\n",
                              "\x16\x03\x01\x02\r\n\r\n"})
        EXPECT_EQ(failure_of_bytes(bytes), cause::protocol) << bytes;
    EXPECT_EQ(failure_of_bytes("HTTP/1.1 200 OK\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n"),
              cause::protocol);
    std::string flood = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 600; ++i) flood += "X: y\r\n";
    EXPECT_EQ(failure_of_bytes(flood + "\r\n"), cause::protocol);
}

TEST(Http, TheSizeLimitHoldsWithAndWithoutALength) {
    request_options options;
    options.max_size = 1000;
    const std::string large(2000, 'x');
    EXPECT_EQ(failure_of_bytes("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + large, options),
              cause::too_large);
    EXPECT_EQ(failure_of_bytes("HTTP/1.1 200 OK\r\n\r\n" + large, options), cause::too_large);
    const raw_server server{[](const std::string&, int) { return raw_server::ok(std::string(1000, 'x')); }};
    session s;
    EXPECT_EQ(s.get_blocking(server.url(), options).bytes, 1000U);
}

TEST(Http, BytesLeftInAKeptConnectionAreNotTakenForAnAnswer) {
    const raw_server server{[](const std::string& request, int) {
        reply r = raw_server::ok("answer to " + raw_server::path_of(request));
        if (raw_server::path_of(request) == "/1") r.bytes += raw_server::ok("forged").bytes;
        return r;
    }};
    session s;
    EXPECT_EQ(s.get_blocking(server.url("/1")).body, "answer to /1");
    EXPECT_EQ(s.get_blocking(server.url("/2")).body, "answer to /2");
    EXPECT_EQ(server.connections(), 2);
}

TEST(Http, KeptConnectionsThatDiedCostNothing) {
    // Ten connections are kept by the session; the server closes all of them on the next word.
    std::atomic<bool> die{false};
    const raw_server server{[&](const std::string& request, int connection) {
        if (die && connection < 10) return reply{{}, true};
        return raw_server::ok(raw_server::path_of(request));
    }};
    session s;
    plait::event_loop loop;
    std::vector<plait::future<plait::http::response>> answers;
    for (int i = 0; i < 10; ++i) answers.push_back(loop.submit([&] { return s.get(server.url("/first")); }));
    for (auto& answer : answers) (void)answer.get();
    die = true;
    EXPECT_EQ(loop.submit([&] { return s.get(server.url("/second")); }).get().body, "/second");
}

TEST(Http, AServerThatStallsIsGivenUp) {
    const raw_server server{
        [](const std::string&, int) { return reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"}; }};
    request_options options;
    options.stall_timeout = 100ms;
    EXPECT_EQ(failure_of(server.url(), options), cause::stall);
    options.stall_timeout = 30s;
    options.timeout = 100ms;
    EXPECT_EQ(failure_of(server.url(), options), cause::timeout);
}

TEST(Http, NobodyListensThere) {
    int port = 0;
    {
        port = raw_server{[](const std::string&, int) { return reply{}; }}.port();
    }
    EXPECT_EQ(failure_of("http://127.0.0.1:" + std::to_string(port) + "/"), cause::connect);
    EXPECT_EQ(failure_of("http://name.invalid/"), cause::resolve);
    EXPECT_EQ(failure_of("file:///etc/passwd"), cause::bad_url);
    EXPECT_EQ(failure_of("http://h/\r\nX: y"), cause::bad_url);
}

TEST(Http, AReceiverGetsTheBodyInPartsAndMayRefuseIt) {
    struct counter : plait::http::body_receiver {
        void begin(const plait::http::response& answer) override { status = answer.status; }
        void receive(std::string_view bytes) override {
            total += bytes.size();
            if (total > limit) throw std::length_error("enough");
        }
        int status = 0;
        std::size_t total = 0;
        std::size_t limit = SIZE_MAX;
    };
    const raw_server server{
        [](const std::string&, int) { return raw_server::ok(std::string(3 << 20, 'x')); }};
    session s;
    counter all;
    request_options options;
    options.receiver = &all;
    const auto answer = s.get_blocking(server.url(), options);
    EXPECT_EQ(all.status, 200);
    EXPECT_EQ(all.total, 3U << 20U);
    EXPECT_EQ(answer.bytes, 3U << 20U);
    EXPECT_EQ(answer.body, "");

    counter some;
    some.limit = 1000;
    options.receiver = &some;
    try {
        (void)s.get_blocking(server.url(), options);
        FAIL();
    } catch (const plait::http::error& e) {
        EXPECT_EQ(e.cause(), cause::receiver);
        EXPECT_THROW(std::rethrow_if_nested(e), std::length_error);
    }
    EXPECT_EQ(s.get_blocking(server.url()).body.size(), 3U << 20U); // the session goes on
}

TEST(Http, HeadersThatSmuggleAreRefused) {
    session s;
    request_options options;
    options.headers = {"A: b\r\nC: d"};
    EXPECT_THROW((void)s.get_blocking("http://127.0.0.1:1/", options), std::invalid_argument);
}

TEST(Http, ManyThreadsShareASession) {
    const raw_server server{
        [](const std::string& request, int) { return raw_server::ok(raw_server::path_of(request)); }};
    session s;
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                const std::string path = "/" + std::to_string(t * 100 + i);
                if (s.get_blocking(server.url(path)).body == path) ++right;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(right, 200);
    EXPECT_LE(server.connections(), 4);
}
