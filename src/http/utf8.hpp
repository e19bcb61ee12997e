// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace plait::http::detail {

/// One step through foreign text that claims to be UTF-8.
struct utf8_step {
    char32_t code = 0;      // the code point; the bare byte where `valid` is false
    std::size_t length = 1; // bytes taken
    bool valid = true;
};

/// Decodes what begins at `at`. Overlong forms, surrogates, values above U+10FFFF and cut sequences are
/// invalid and take one byte, so that a walk always ends and sees every byte once.
[[nodiscard]] utf8_step utf8_at(std::string_view text, std::size_t at) noexcept;

/// What must never reach a terminal or a file name as it is: C0, DEL, C1, and the marks that turn text round.
[[nodiscard]] constexpr bool is_unsafe(char32_t code) noexcept {
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
    if (code == 0x61c || code == 0x200e || code == 0x200f) return true;
    if (code >= 0x202a && code <= 0x202e) return true;         // embeddings and overrides
    if (code >= 0x2066 && code <= 0x2069) return true;         // isolates
    return code == 0x2028 || code == 0x2029 || code == 0xfeff; // line ends in disguise; no width
}

} // namespace plait::http::detail
