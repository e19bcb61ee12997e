// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace plait::http::detail {

/// Makes foreign text safe to show to a human: a URL, a header, a file name, a server's or library's message.
///
/// Controls (C0, DEL, C1), marks that change the direction of text and bytes that are not UTF-8 become
/// visible:
/// `\n \r \t`, `\x1b`, `\u{202e}`, and a backslash is doubled so that two texts never look the same.
/// Every message of plait fetch passes through here, terminal or not (CVE-2004-1488 is what happens else).
[[nodiscard]] std::string escape(std::string_view text);

} // namespace plait::http::detail
