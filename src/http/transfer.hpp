// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <memory>
#include <string>

#include "http/answer.hpp"
#include "http/url.hpp"

namespace plait::http::detail {

class engine;

/// Bodies that nobody wants: read for the sake of using the connection again, if they are short.
enum class discard { nothing, redirects, all_but_success };

class transfer;

/// One request: what is asked, and, once `done` has been called, the answer. Belongs to whoever asks.
struct exchange {
    hop what;
    answer result;
    body_receiver* receiver = nullptr; // null: into result.body
    discard drops = discard::nothing;
    void (*done)(exchange&) noexcept = nullptr; // called once by engine::work(), unless it is stopped before
    void* owner = nullptr;                      // for `done`
    /// Set by the receiver: no more of the body for now. `done` is called, once, although it is not over; it
    /// goes on by engine::go_on().
    bool held = false;
    bool over = false; // what `done` tells

  private:
    friend class engine;
    transfer* wire = nullptr; // while it is under way
};

/// A libcurl handle for one request after the other: a fresh one would cost 5,000 instructions
/// a request. Only what differs from request to request is set again.
class transfer {
  public:
    explicit transfer(engine& home);
    ~transfer();
    transfer(const transfer&) = delete;
    transfer& operator=(const transfer&) = delete;

  private:
    friend class engine;
    struct curl_deleter {
        void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    };
    struct url_deleter {
        void operator()(CURLU* handle) const noexcept { curl_url_cleanup(handle); }
    };

    void set_constants();
    void prepare(exchange& x, clock::time_point now);
    void set_url(const std::string& text);
    void finish(CURLcode code);
    void fail(http::cause why, std::string text);
    /// In a handler: that is the exchange's failure.
    void caught() noexcept;
    void fail_by_code(CURLcode code);
    [[nodiscard]] bool died_on_kept_connection(CURLcode code) const;
    [[nodiscard]] bool begin();
    [[nodiscard]] bool drops_body() const noexcept;
    [[nodiscard]] std::size_t take_header(std::string_view line);
    [[nodiscard]] std::size_t take_body(std::string_view bytes);
    [[nodiscard]] int before_request(const char* peer, int peer_port, const char* local, int local_port);
    [[nodiscard]] curl_socket_t open_socket(curl_sockaddr& address);

    template <class Result, class Callback>
    static Result guarded(void* self, Result failed, Callback callback) noexcept;
    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
    static int on_request(void* self, char* peer, char* local, int peer_port, int local_port);
    static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address);

    engine& engine_;
    exchange* exchange_ = nullptr;
    std::unique_ptr<CURLU, url_deleter> url_; // outlives curl_, which reads it
    std::unique_ptr<CURL, curl_deleter> curl_;
    sibling_urls siblings_;
    header_rules rules_;
    const void* headers_set_ = nullptr;
    bool fresh_set_ = false;
    bool begun_ = false;
    bool connected_ = false;
    bool refused_address_ = false;
    int socket_error_ = 0;
    std::uint64_t progress_ = 0; // bytes that the callbacks saw, over all requests
    std::uint64_t first_progress_ = 0;
    clock::time_point last_byte_{};
    clock::time_point connect_by_{};
    curl_socket_t socket_ = CURL_SOCKET_BAD; // the last one that libcurl has named for it
    std::size_t index_ = 0;                  // in the engine's list of active transfers
    bool active_ = false;
    char error_text_[CURL_ERROR_SIZE] = {};
};

} // namespace plait::http::detail
