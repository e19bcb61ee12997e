// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "http/answer.hpp"
#include "http/url.hpp"

namespace plait::http::detail {

/// How far a request has been led on. The rules are ours, not libcurl's, which sends any custom header along.
struct trail {
    unsigned followed = 0;
    bool changed_origin = false; // secrets have been dropped, and stay so
    bool from_public = false;    // some server on the way has a public address
};

/// 301, 302, 303, 307 or 308.
[[nodiscard]] bool is_redirect(int status) noexcept;

/// Takes the next step: `at` becomes what the answer's Location names. False if that may not be, and `fault`
/// says why: too many, no Location, a scheme other than http and https, from https to http, a private address
/// in the URL itself. When scheme, host or port change, headers and userinfo may no longer be sent; the
/// Location's own userinfo never is.
[[nodiscard]] bool follow(const answer& from, unsigned most, url_parser& parser, url& at, trail& so_far,
                          std::string& fault);

/// Headers that may go to any host: User-Agent and Accept.
[[nodiscard]] bool goes_anywhere(std::string_view header) noexcept;

} // namespace plait::http::detail
