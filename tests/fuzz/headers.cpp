// SPDX-License-Identifier: Apache-2.0
// component: http
// Any bytes as the header lines of an answer, of a server that may be anybody: judged, searched, followed,
// printed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/answer.hpp"
#include "http/escape.hpp"
#include "http/redirect.hpp"
#include "http/utf8.hpp"

namespace {

namespace http = plait::http::detail;

void require(bool holds) {
    if (!holds) std::abort();
}

void check_printable(std::string_view text) {
    const std::string safe = http::escape(text);
    for (std::size_t at = 0; at < safe.size();) {
        const auto step = http::utf8_at(safe, at);
        require(step.valid && !http::is_unsafe(step.code));
        at += step.length;
    }
}

void check_redirect(const http::answer& got) {
    static http::url_parser parser;
    http::url at;
    require(parser.parse("https://me:pw@example.org:8443/dir/file?q", at));
    const std::string before = at.origin();
    http::trail trail;
    trail.from_public = true;
    std::string fault;
    if (!http::follow(got, 10, parser, at, trail, fault)) {
        require(!fault.empty());
        check_printable(fault);
        return;
    }
    require(at.scheme == "https"); // never down to http, nor anywhere else
    require(trail.changed_origin || (at.origin() == before && at.userinfo == "me:pw"));
    require(!trail.changed_origin || at.userinfo.empty());
    require(http::may_connect(http::kind_of(std::string_view{at.host}), true, true) ||
            http::kind_of(std::string_view{at.host}) == http::address_kind::unknown);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest{reinterpret_cast<const char*>(data), size};
    http::header_rules rules;
    http::answer got;
    got.status = 302;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
        rest.remove_prefix(line.size());
        if (rules.see(line) != nullptr) break;
        got.headers.append(line);
        if (!got.headers.text().ends_with('\n')) got.headers.append("\n");
    }
    require(rules.length() <= static_cast<std::uint64_t>(INT64_MAX));
    require(http::retry_after_of(got.headers.find("retry-after"), 1'700'000'000) >= -1);
    for (const char* name : {"location", "content-length", "x", ""}) {
        const std::string_view value = got.headers.find(name);
        require(value.empty() || got.headers.contains(name));
        require(value.find('\n') == std::string_view::npos);
    }
    check_redirect(got);
    check_printable(got.headers.text());
    return 0;
}
