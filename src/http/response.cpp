// SPDX-License-Identifier: Apache-2.0
#include "plait/http.hpp"

#include <algorithm>

#include "http/answer.hpp"
#include "http/escape.hpp"

namespace plait::http {

const char* text_of(cause why) noexcept {
    switch (why) {
    case cause::bad_url:
        return "bad URL";
    case cause::resolve:
        return "the name cannot be resolved";
    case cause::connect:
        return "no connection";
    case cause::tls:
        return "TLS";
    case cause::timeout:
        return "timed out";
    case cause::stall:
        return "stalled";
    case cause::protocol:
        return "the answer breaks HTTP";
    case cause::short_body:
        return "the body is too short";
    case cause::too_large:
        return "the body is too large";
    case cause::redirect:
        return "redirect refused";
    case cause::receiver:
        return "the receiver failed";
    case cause::status:
        return "status";
    }
    return "?";
}

const char* text_of(phase where) noexcept {
    switch (where) {
    case phase::before:
        return "before the request";
    case phase::connecting:
        return "while connecting";
    case phase::waiting:
        return "while waiting for the answer";
    case phase::headers:
        return "in the headers";
    case phase::body:
        return "in the body";
    }
    return "?";
}

error::error(std::string url, http::phase where, http::cause why, const std::string& text, int status)
    : std::runtime_error("cannot get " + detail::escape(url) + ": " + text_of(why) + ": " +
                         detail::escape(text) + " (" + text_of(where) + ")"),
      url_(std::move(url)),
      phase_(where),
      cause_(why),
      status_(status) {}

const char* header_lines::find_line(std::string_view name) const noexcept {
    for (std::size_t at = 0; at < text_.size();) {
        const std::size_t end = std::min(text_.find('\n', at), text_.size());
        const std::size_t colon = at + name.size();
        if (colon < end && text_[colon] == ':' &&
            detail::same_name(std::string_view{text_}.substr(at, name.size()), name))
            return text_.data() + at;
        at = end + 1;
    }
    return nullptr;
}

std::string_view header_lines::find(std::string_view name) const noexcept {
    const char* const line = find_line(name);
    if (line == nullptr) return {};
    const std::string_view rest{line, static_cast<std::size_t>(text_.data() + text_.size() - line)};
    return detail::split_header(rest.substr(0, rest.find('\n'))).value;
}

bool header_lines::contains(std::string_view name) const noexcept { return find_line(name) != nullptr; }

void response::raise_for_status() const {
    if (status < 400) return;
    throw error(effective_url, phase::headers, cause::status, std::to_string(status), status);
}

body_receiver::~body_receiver() = default;
void body_receiver::begin(const response& /*answer*/) {}

request_options::request_options() = default;
request_options::request_options(const request_options&) = default;
request_options::request_options(request_options&&) noexcept = default;
request_options& request_options::operator=(const request_options&) = default;
request_options& request_options::operator=(request_options&&) noexcept = default;
request_options::~request_options() = default;

session_options::session_options() = default;
session_options::session_options(const session_options&) = default;
session_options& session_options::operator=(const session_options&) = default;
session_options::~session_options() = default;

} // namespace plait::http
