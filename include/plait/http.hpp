// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <plait/detail/chrono.hpp>
#include <plait/task.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace plait::http {

/// Why a request failed.
enum class cause {
    bad_url,
    resolve,
    connect,
    tls,
    timeout,
    stall,      // no byte for `stall_timeout`
    protocol,   // the answer breaks HTTP: two lengths, a header flood, an upgrade that nobody asked for
    short_body, // fewer bytes than announced
    too_large,
    redirect, // too many, to another scheme, to a less safe one, or from a public to a private address
    receiver, // the body's receiver threw; the exception is nested
    status,   // only by raise_for_status()
};

/// How far it had come.
enum class phase { before, connecting, waiting, headers, body };

[[nodiscard]] [[gnu::visibility("default")]] const char* text_of(cause why) noexcept;
[[nodiscard]] [[gnu::visibility("default")]] const char* text_of(phase where) noexcept;

/// A request that failed: which URL, how far it had come, and why.
class [[gnu::visibility("default")]] error : public std::runtime_error {
  public:
    error(std::string url, http::phase where, http::cause why, const std::string& text, int status = 0);

    /// Without userinfo.
    [[nodiscard]] const std::string& url() const noexcept { return url_; }
    [[nodiscard]] http::phase phase() const noexcept { return phase_; }
    [[nodiscard]] http::cause cause() const noexcept { return cause_; }
    /// The status of the answer, or 0 if there was none.
    [[nodiscard]] int status() const noexcept { return status_; }

  private:
    std::string url_;
    http::phase phase_;
    http::cause cause_;
    int status_;
};

/// The header lines of an answer, as they came.
class [[gnu::visibility("default")]] header_lines {
  public:
    /// The value of the first header of this name (ASCII case does not matter), or an empty text.
    [[nodiscard]] std::string_view find(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept;
    /// `Name: value\r\n` for each.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    void append(std::string_view line) { text_.append(line); }
    void clear() noexcept { text_.clear(); }

  private:
    [[nodiscard]] const char* find_line(std::string_view name) const noexcept;
    std::string text_;
};

/// An answer. Any status is an answer; raise_for_status() makes an exception of those from 400 on.
struct [[gnu::visibility("default")]] response {
    int status = 0;
    header_lines headers;
    std::string body;          // empty if a receiver took it
    std::string effective_url; // after redirects; without userinfo
    std::uint64_t bytes = 0;   // of the body

    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
    /// Throws http::error (cause::status) for 4xx and 5xx.
    void raise_for_status() const;
};

/// Takes a body as it arrives, so that it need not fit into memory.
///
/// What it throws ends the request and comes out of get() nested in an http::error.
class [[gnu::visibility("default")]] body_receiver {
  public:
    virtual ~body_receiver();
    /// The headers are there: `status` and `headers` of `answer` are filled. Called once, before the first
    /// byte.
    virtual void begin(const response& answer);
    virtual void receive(std::string_view bytes) = 0;
};

/// What may differ from request to request. Not an aggregate: GCC 12 destroys those twice inside a co_await.
struct [[gnu::visibility("default")]] request_options {
    request_options();
    request_options(const request_options&);
    request_options(request_options&&) noexcept;
    request_options& operator=(const request_options&);
    request_options& operator=(request_options&&) noexcept;
    ~request_options();

    std::vector<std::string> headers; // "Name: value"; no line breaks
    plait::detail::nanoseconds connect_timeout = std::chrono::seconds(10);
    plait::detail::nanoseconds stall_timeout = std::chrono::seconds(30);    // no byte, headers included
    plait::detail::nanoseconds timeout = plait::detail::nanoseconds::max(); // the whole, redirects included
    std::uint64_t max_size = UINT64_MAX; // of the body; the request fails at the first byte more
    unsigned max_redirects = 10;         // 0: a redirect is an answer like others
    body_receiver* receiver = nullptr;   // not owned
};

struct [[gnu::visibility("default")]] session_options {
    session_options();
    session_options(const session_options&);
    session_options& operator=(const session_options&);
    ~session_options();

    std::string user_agent = "plait/0.1";
    std::string ca_file;   // empty: the system's
    bool insecure = false; // take any certificate
    std::size_t kept = 64; // idle connections that are kept, per loop or blocking thread
};

/// Asks for URLs over http and https, and keeps connections open for the next request.
///
///     plait::http::session session;
///     auto answer = co_await session.get("http://example.org/");
///     answer.raise_for_status();
///
/// Redirects are followed within http and https, never from https to http, and never from a public address to
/// a private one; headers that were given for one host are not sent to another.
///
/// Threads:       get() from coroutines of any loop, get_blocking() from any thread, also at the same time.
///                Each loop, and each thread that blocks, has connections of its own.
/// Cancellation:  a cancelled get() closes its connection and throws `cancelled`
///                (HttpLoop.C20_ACancelledGetEnds).
/// Errors:        http::error, with URL, phase and cause; a status is none until raise_for_status() is asked.
/// Lifetime:      it outlives its requests; loops that it was used on may be gone before it.
class [[gnu::visibility("default")]] session {
  public:
    explicit session(const session_options& options = {});
    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    [[nodiscard]] task<response> get(std::string url, request_options options = {});
    [[nodiscard]] response get_blocking(const std::string& url, request_options options = {});

    struct state; // internal
    [[nodiscard]] state& internals() noexcept { return *state_; }

  private:
    state* state_;
};

} // namespace plait::http
