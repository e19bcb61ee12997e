// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "http/address.hpp"
#include "plait/http.hpp"

namespace plait::http::detail {

using clock = std::chrono::steady_clock;

/// What one request on the wire is to be. Redirects are other requests.
struct hop {
    std::string url;               // for libcurl: with userinfo
    std::string shown;             // for messages: without
    const void* headers = nullptr; // a curl_slist that outlives the request
    clock::duration connect_timeout = std::chrono::seconds(10);
    clock::duration stall_timeout = std::chrono::seconds(30);
    clock::time_point deadline = clock::time_point::max();
    std::uint64_t max_size = UINT64_MAX;
    bool redirected = false;  // this URL came from a server
    bool from_public = false; // and that server has a public address
    bool fresh = false;       // not on a connection that was used before
};

/// How it went. A failure has a cause and a text; whatever arrived before it is there too.
struct answer : response {
    std::optional<http::cause> failure;
    http::phase where = http::phase::before;
    std::string text;              // what went wrong
    std::exception_ptr thrown;     // by the receiver
    int system_error = 0;          // why this process could not make the socket; 0: it could
    std::int64_t retry_after = -1; // seconds; -1: none
    bool length_unknown = false;   // the body ended with the connection
    bool stale = false;            // the kept connection was dead, or had bytes in it: ask again, afresh
    address_kind peer = address_kind::unknown;

    void reset();
};

/// Looks at the header lines of one answer as they come and refuses what no honest server sends: floods, two
/// lengths, a length beyond 2^63, an upgrade that nobody asked for.
class header_rules {
  public:
    static constexpr std::size_t most_bytes = 256 * 1024; // interim answers included
    static constexpr std::size_t most_lines = 500;

    void reset() noexcept { *this = {}; }
    /// Null, or what is wrong; from then on the answer is not to be believed.
    [[nodiscard]] const char* see(std::string_view line) noexcept;

    [[nodiscard]] int status() const noexcept { return status_; }
    /// All headers of the final answer have been seen; what follows are trailers.
    [[nodiscard]] bool complete() const noexcept { return complete_; }
    [[nodiscard]] bool has_length() const noexcept { return has_length_; }
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    [[nodiscard]] bool chunked() const noexcept { return chunked_; }

  private:
    [[nodiscard]] const char* see_status(std::string_view line) noexcept;
    [[nodiscard]] const char* see_length(std::string_view value) noexcept;

    std::size_t bytes_ = 0;
    std::size_t lines_ = 0;
    std::uint64_t length_ = 0;
    int status_ = 0;
    bool complete_ = false;
    bool has_length_ = false;
    bool chunked_ = false;
};

/// The seconds that a Retry-After asks for, in either of its forms; -1 if it is none. What does not fit is
/// the largest.
[[nodiscard]] std::int64_t retry_after_of(std::string_view value, std::int64_t now) noexcept;

/// "Name" and "value" of a header line; both empty if it is none.
struct header_view {
    std::string_view name;
    std::string_view value;
};
[[nodiscard]] header_view split_header(std::string_view line) noexcept;
/// ASCII case does not matter.
[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;

} // namespace plait::http::detail
