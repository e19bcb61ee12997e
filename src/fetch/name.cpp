// SPDX-License-Identifier: Apache-2.0
#include "fetch/name.hpp"

#include <algorithm>

#include "http/utf8.hpp"

namespace plait::fetch {
namespace {

using http::detail::is_unsafe;
using http::detail::utf8_at;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decode_once(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            const int high = hex_value(text[i + 1]);
            const int low = hex_value(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

void append_encoded(std::string& out, std::string_view bytes) {
    constexpr char digits[] = "0123456789ABCDEF";
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4U];
        out += digits[byte & 0xfU];
    }
}

/// The length of the extension with its dot, or 0: short ones only, and never the whole name.
std::size_t extension_length(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0 || name.size() - dot > 16) return 0;
    return name.size() - dot;
}

/// The first `most` bytes at most, ending between two characters and never inside a %XX.
std::string_view cut(std::string_view text, std::size_t most) {
    if (text.size() <= most) return text;
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) --end;
    for (std::size_t back = 1; back <= 2 && back <= end; ++back)
        if (text[end - back] == '%') return text.substr(0, end - back);
    return text.substr(0, end);
}

std::string hex8(std::uint64_t hash) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out(8, '0');
    for (std::size_t i = 0; i < 8; ++i) out[i] = digits[(hash >> (60U - 4U * i)) & 0xfU];
    return out;
}

/// The length of a "~0123abcd" at the end of a stem, or 0.
std::size_t hash_length(std::string_view stem) {
    if (stem.size() < 9 || stem[stem.size() - 9] != '~') return 0;
    return stem.substr(stem.size() - 8).find_first_not_of("0123456789abcdef") == std::string_view::npos ? 9
                                                                                                        : 0;
}

/// The mark comes before the extension; what must go for the sake of the length goes before the hash.
std::string with_mark(std::string_view name, std::string_view mark) {
    const std::size_t extension = extension_length(name);
    const std::string_view stem = name.substr(0, name.size() - extension);
    const std::size_t hash = hash_length(stem);
    std::string out{cut(stem.substr(0, stem.size() - hash), longest_name - extension - mark.size() - hash)};
    return out.append(stem.substr(stem.size() - hash))
        .append(mark)
        .append(name.substr(name.size() - extension));
}

std::string make_safe(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 8);
    if (text.empty() || text == "." || text == "..") return "index";
    if (text.front() == '.' || text.front() == '-') out += '_';
    for (std::size_t at = 0; at < text.size();) {
        const auto step = utf8_at(text, at);
        const std::string_view bytes = text.substr(at, step.length);
        if (!step.valid || is_unsafe(step.code) ||
            (step.code < 0x80 && std::string_view{"/\\:*?\"<>|"}.find(bytes[0]) != std::string_view::npos))
            append_encoded(out, bytes);
        else
            out += bytes;
        at += step.length;
    }
    if (out.size() <= longest_name) return out;
    return with_mark(out, "~" + hex8(hash_text(out)));
}

char32_t fold(char32_t c) {
    if (c >= 'A' && c <= 'Z') return c + 32;
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481)) return c | 1U;
    if (c >= 0x139 && c <= 0x148) return c + (c & 1U);
    if (c == 0x3c2) return 0x3c3; // the two small sigmas
    return c;
}

std::uint64_t key_of(std::string_view name) {
    while (name.size() > 1 && (name.back() == '.' || name.back() == ' ')) name.remove_suffix(1);
    std::string folded;
    folded.reserve(name.size() * 4);
    for (std::size_t at = 0; at < name.size();) {
        const auto step = utf8_at(name, at);
        const char32_t code = fold(step.code);
        for (unsigned shift = 0; shift < 32; shift += 8) folded += static_cast<char>((code >> shift) & 0xffU);
        at += step.length;
    }
    return std::max<std::uint64_t>(hash_text(folded), 1);
}

} // namespace

std::uint64_t hash_text(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3U;
    }
    hash ^= hash >> 32U;
    hash *= 0xd6e8feb86659fd93U;
    return hash ^ (hash >> 32U);
}

std::string name_from_path(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return make_safe(decode_once(slash == std::string_view::npos ? path : path.substr(slash + 1)));
}

std::string name_from_list(std::string_view given) { return make_safe(given); }

name_table::entry& name_table::find(std::uint64_t hash) noexcept {
    const std::size_t mask = entries_.size() - 1;
    std::size_t at = hash & mask;
    while (entries_[at].hash != 0 && entries_[at].hash != hash) at = (at + 1) & mask;
    return entries_[at];
}

void name_table::grow() {
    std::vector<entry> old(entries_.empty() ? 1024 : entries_.size() * 2);
    old.swap(entries_);
    for (const entry& e : old)
        if (e.hash != 0) find(e.hash) = e;
}

bool name_table::insert(std::uint64_t hash) {
    if (used_ * 4 >= entries_.size() * 3) grow();
    entry& e = find(hash);
    if (e.hash != 0) return false;
    e.hash = hash;
    ++used_;
    return true;
}

std::string name_table::reserve(std::string name) {
    const std::uint64_t first = key_of(name);
    if (insert(first)) return name;
    for (;;) {
        // The number is kept with the first of the name, or 100,000 times `index` would take 5 * 10^9 steps.
        const std::uint64_t number = find(first).next++;
        std::string numbered = with_mark(name, "~" + std::to_string(number));
        if (insert(key_of(numbered))) return numbered;
    }
}

} // namespace plait::fetch
