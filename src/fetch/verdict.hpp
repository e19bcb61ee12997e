// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/reason.hpp"
#include "http/address.hpp"
#include "plait/http.hpp"

namespace plait::fetch {

/// What a worker found out about one request; goes from process to process, so it is plain data.
struct fetched {
    std::uint32_t id = 0;
    std::int32_t status = 0;
    std::int32_t failure = -1;     // an http::cause, or -1
    std::int32_t disk_error = 0;   // an errno: the file could not be written
    std::int32_t system_error = 0; // an errno: the socket could not be made
    std::int32_t peer = 0;         // an http::detail::address_kind
    std::int64_t retry_after = -1; // seconds
    std::uint64_t bytes = 0;
    std::uint32_t worker = 0;
    bool asked = true;   // false: it was seen beforehand that there is no use
    bool exists = false; // something stood in the place
    bool busy = false;   // somebody else holds the temporary file: a run, or a worker that is dying
    bool placed = false; // the file bears its name, or is not to be written
    bool length_unknown = false;
    std::string text;     // what went wrong
    std::string location; // of a redirect
    std::string content_encoding;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(id, status, failure, disk_error, system_error, peer, retry_after, bytes, worker, asked,
                exists, busy, placed, length_unknown, text, location, content_encoding);
    }
};

/// 200, 203 and 204: what was asked for is there. 206 is not, as long as nobody asks for a part.
[[nodiscard]] constexpr bool is_success(int status) noexcept {
    return status == 200 || status == 203 || status == 204;
}

/// "404 Not Found", "299".
[[nodiscard]] std::string status_text(int status);

/// What an answer means for its item.
struct verdict {
    enum class step {
        done,
        follow,     // a redirect
        again,      // after a back-off of its own
        again_when, // when the host opens again, which the server has named
        failed,
        run_failed, // and nothing else will succeed: the disk is full, no descriptors are left
    };
    step next = step::failed;
    reason why = reason::none;
    std::string error;
    std::chrono::seconds wait{0}; // for again_when
};

/// `failed`: how many attempts have failed, this one included; `retries`: how many may follow the first.
[[nodiscard]] verdict judge(const fetched& answer, unsigned failed, unsigned retries);

} // namespace plait::fetch
