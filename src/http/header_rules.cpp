// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>

#include <algorithm>
#include <charconv>

#include "http/answer.hpp"

namespace plait::http::detail {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) noexcept {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

} // namespace

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

header_view split_header(std::string_view line) noexcept {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    return {line.substr(0, colon), trim(line.substr(colon + 1))};
}

std::int64_t retry_after_of(std::string_view value, std::int64_t now) noexcept {
    if (value.empty()) return -1;
    if (value.find_first_not_of("0123456789") == std::string_view::npos) {
        std::int64_t seconds = 0;
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), seconds);
        return parsed.ec == std::errc{} ? seconds : INT64_MAX;
    }
    char date[64] = {};
    if (value.size() >= sizeof date) return -1;
    std::copy(value.begin(), value.end(), date);
    const std::int64_t when = curl_getdate(date, nullptr);
    return when < 0 ? -1 : std::max<std::int64_t>(when - now, 0);
}

const char* header_rules::see_status(std::string_view line) noexcept {
    const std::size_t space = line.find(' ');
    int status = 0;
    if (space != std::string_view::npos)
        (void)std::from_chars(line.data() + space + 1, line.data() + std::min(line.size(), space + 4),
                              status);
    status_ = status;
    complete_ = has_length_ = chunked_ = false;
    if (status == 101) return "101 Switching Protocols, which nobody asked for";
    return nullptr;
}

const char* header_rules::see_length(std::string_view value) noexcept {
    std::uint64_t length = 0;
    const auto end = value.data() + value.size();
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): with its end
    const auto parsed = std::from_chars(value.data(), end, length);
    if (parsed.ec == std::errc::result_out_of_range || length > static_cast<std::uint64_t>(INT64_MAX))
        return "a Content-Length beyond 2^63";
    if (parsed.ec != std::errc{} || parsed.ptr != end) return "a Content-Length that is no number";
    if (has_length_ && length != length_) return "two different Content-Lengths";
    has_length_ = true;
    length_ = length;
    return nullptr;
}

const char* header_rules::see(std::string_view line) noexcept {
    bytes_ += line.size();
    if (bytes_ > most_bytes) return "more than 256 KiB of headers";
    if (++lines_ > most_lines) return "more than 500 header lines";
    if (complete_) return nullptr; // trailers, also those that look like a status line
    if (line.starts_with("HTTP/")) return see_status(line);
    if (line == "\r\n" || line == "\n") {
        complete_ = status_ >= 200;
        return nullptr;
    }
    const header_view header = split_header(line);
    if (!header.name.empty() && (header.name.back() == ' ' || header.name.back() == '\t'))
        return "a blank between a header's name and its colon";
    // The first letter decides most of them.
    if (header.name.size() == 14 && same_name(header.name, "content-length")) return see_length(header.value);
    if (header.name.size() == 17 && same_name(header.name, "transfer-encoding"))
        chunked_ =
            header.value.size() >= 7 && same_name(header.value.substr(header.value.size() - 7), "chunked");
    return nullptr;
}

} // namespace plait::http::detail
