// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace plait::fetch {

/// Why an item failed, in one stable word: scripts depend on these texts.
enum class reason : std::uint8_t {
    none,
    http,    // an answer that is no success, or that breaks the protocol
    timeout, // connecting or the whole took too long
    stall,   // no byte for too long
    connect,
    dns,
    tls,
    short_body, // fewer bytes than announced
    range,
    too_large,
    redirect,
    url,
    exists,
    disk,
    checksum,
    interrupted,
    not_started,
};

inline constexpr std::array<std::string_view, 17> reason_texts{
    "",          "http",     "timeout", "stall",  "connect", "dns",      "tls",         "short",      "range",
    "too_large", "redirect", "url",     "exists", "disk",    "checksum", "interrupted", "not_started"};

[[nodiscard]] constexpr std::string_view text_of(reason why) noexcept {
    return reason_texts[static_cast<std::size_t>(why)];
}

} // namespace plait::fetch
