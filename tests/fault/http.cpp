// SPDX-License-Identifier: Apache-2.0
// limit: 300
// Every call that can fail, failed, in the HTTP sessions: the server is a process of its own.
#include "sweep.hpp"

#include "support/raw_server.hpp"

#include <plait/http.hpp>
#include <plait/plait.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Answers every request with "hello"; ends with its parent's descriptor.
class other_process {
  public:
    other_process() {
        int ends[2]{}; // NOLINT(cppcoreguidelines-avoid-c-arrays)
        if (::pipe(ends) != 0) throw std::runtime_error{"no pipe"};
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::close(ends[0]);
            const plait::test::raw_server server{[](const std::string&, int) {
                return plait::test::raw_server::reply{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"};
            }};
            const std::string url = server.url() + "\n";
            static_cast<void>(!::write(ends[1], url.data(), url.size()));
            for (;;) ::pause();
        }
        ::close(ends[1]);
        char c = 0;
        while (::read(ends[0], &c, 1) == 1 && c != '\n') url_ += c;
        ::close(ends[0]);
    }
    other_process(const other_process&) = delete;
    other_process& operator=(const other_process&) = delete;
    ~other_process() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    const std::string& url() const { return url_; }

  private:
    pid_t pid_ = -1;
    std::string url_;
};

TEST_F(Fault, HttpOnALoop) {
    const other_process server;
    swept("http::session::get", [&server] {
        const auto main = [](std::string url) -> plait::task<> {
            plait::http::session session;
            const plait::http::response one = co_await session.get(url);
            promised(one.status == 200 && one.body == "hello", "the answer");
            const plait::http::response two = co_await session.get(url);
            promised(two.status == 200 && two.body == "hello", "the second answer");
        };
        plait::run(main(server.url()));
    });
}

/// A receiver that keeps what comes, as a file would.
class keeper final : public plait::http::body_receiver {
  public:
    void receive(std::string_view bytes) override { all.append(bytes); }
    std::string all;
};

TEST_F(Fault, HttpToAReceiver) {
    const other_process server;
    swept("http::session::get, to a receiver, with headers and limits", [&server] {
        const auto main = [](std::string url) -> plait::task<> {
            plait::http::session session;
            keeper body;
            plait::http::request_options how;
            how.headers = {"X-One: 1", "X-Two: 2"};
            how.timeout = std::chrono::hours{1};
            how.receiver = &body;
            const plait::http::response answer = co_await session.get(url, how);
            promised(answer.status == 200 && body.all == "hello", "the answer");
        };
        plait::run(main(server.url()));
    });
}

TEST_F(Fault, HttpOnAThread) {
    const other_process server;
    swept("http::session::get_blocking", [&server] {
        plait::http::session session;
        const plait::http::response one = session.get_blocking(server.url());
        promised(one.status == 200 && one.body == "hello", "the answer");
    });
}

} // namespace
