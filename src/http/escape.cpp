// SPDX-License-Identifier: Apache-2.0
#include "http/escape.hpp"

#include "http/utf8.hpp"

namespace plait::http::detail {
namespace {

constexpr char digits[] = "0123456789abcdef";

void append_byte(std::string& out, unsigned char byte) {
    out += "\\x";
    out += digits[byte >> 4U];
    out += digits[byte & 0xfU];
}

void append_code(std::string& out, char32_t code) {
    out += "\\u{";
    int shift = 20;
    while (shift > 0 && (code >> static_cast<unsigned>(shift)) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) out += digits[(code >> static_cast<unsigned>(shift)) & 0xfU];
    out += '}';
}

} // namespace

std::string escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const utf8_step step = utf8_at(text, at);
        if (!step.valid) {
            append_byte(out, static_cast<unsigned char>(step.code));
        } else if (step.code == '\\') {
            out += "\\\\";
        } else if (step.code == '\n') {
            out += "\\n";
        } else if (step.code == '\r') {
            out += "\\r";
        } else if (step.code == '\t') {
            out += "\\t";
        } else if (!is_unsafe(step.code)) {
            out += text.substr(at, step.length);
        } else if (step.code < 0x80) {
            append_byte(out, static_cast<unsigned char>(step.code));
        } else {
            append_code(out, step.code);
        }
        at += step.length;
    }
    return out;
}

} // namespace plait::http::detail
