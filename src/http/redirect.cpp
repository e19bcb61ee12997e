// SPDX-License-Identifier: Apache-2.0
#include "http/redirect.hpp"

#include "http/escape.hpp"

namespace plait::http::detail {

bool is_redirect(int status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool follow(const answer& from, unsigned most, url_parser& parser, url& at, trail& so_far,
            std::string& fault) {
    const std::string status = std::to_string(from.status);
    const std::string_view location = from.headers.find("location");
    if (location.empty()) {
        fault = status + " without a Location";
        return false;
    }
    if (so_far.followed >= most) {
        fault = "more than " + std::to_string(most) + " redirects";
        return false;
    }
    url next;
    if (!parser.resolve(at, location, next)) {
        fault = "a redirect to " + escape(without_userinfo(location.substr(0, 200))) + ": " + parser.fault();
        return false;
    }
    if (at.scheme == "https" && next.scheme == "http") {
        fault = "a redirect from https to http, to " + escape(next.text);
        return false;
    }
    so_far.from_public = so_far.from_public || from.peer == address_kind::public_net;
    const address_kind kind = kind_of(std::string_view{next.host});
    if (kind != address_kind::unknown && !may_connect(kind, true, so_far.from_public)) {
        fault = "a redirect may not lead to the address " + escape(next.host);
        return false;
    }
    ++so_far.followed;
    const bool same = next.origin() == at.origin();
    so_far.changed_origin = so_far.changed_origin || !same;
    next.userinfo = same ? at.userinfo : std::string{};
    at = std::move(next);
    return true;
}

bool goes_anywhere(std::string_view header) noexcept {
    const std::string_view name = header.substr(0, header.find_first_of(":;"));
    return same_name(name, "user-agent") || same_name(name, "accept");
}

} // namespace plait::http::detail
