// SPDX-License-Identifier: Apache-2.0
#include "fetch/report.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <utility>

#include "http/escape.hpp"
#include "http/utf8.hpp"
#include "sys/errors.hpp"
#include <plait/fetch.hpp>

namespace plait::fetch {
namespace {

constexpr std::size_t write_size = 64 * 1024;

void append_unit(std::string& out, char32_t unit) {
    constexpr char digits[] = "0123456789abcdef";
    out += "\\u";
    for (unsigned shift = 16; shift != 0; shift -= 4) out += digits[(unit >> (shift - 4)) & 0xfU];
}

void append_key(std::string& out, std::string_view key) {
    out += out.back() == '{' ? "\"" : ",\"";
    out += key;
    out += "\":";
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
    append_key(out, key);
    if (value.empty())
        out += "null";
    else
        append_json(out, value);
}

} // namespace

void append_seconds(std::string& out, double seconds) {
    char text[40];
    const double rounded = std::round(seconds * 1e6) / 1e6;
    const auto end = std::to_chars(text, text + sizeof text, rounded, std::chars_format::fixed);
    out.append(text, end.ptr);
}

void append_json(std::string& out, std::string_view text) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
        const auto step = http::detail::utf8_at(text, at);
        at += step.length;
        if (!step.valid) {
            out += "\\ufffd";
        } else if (step.code == '"' || step.code == '\\') {
            out += '\\';
            out += static_cast<char>(step.code);
        } else if (step.code >= 0x20 && step.code < 0x7f) {
            out += static_cast<char>(step.code);
        } else if (step.code >= 0x10000) {
            append_unit(out, 0xd800 + ((step.code - 0x10000) >> 10U));
            append_unit(out, 0xdc00 + ((step.code - 0x10000) & 0x3ffU));
        } else {
            append_unit(out, step.code);
        }
    }
    out += '"';
}

std::string to_json_line(const row& item) {
    std::string out{"{"};
    out.reserve(220 + item.url.size() + item.effective_url.size() + item.file.size());
    append_key(out, "url");
    append_json(out, item.url);
    append_text(out, "effective_url", item.effective_url);
    append_key(out, "status");
    out += item.status == 0 ? "null" : std::to_string(item.status);
    append_text(out, "file", item.file);
    append_key(out, "bytes");
    out += std::to_string(item.bytes);
    append_text(out, "sha256", {});
    append_key(out, "attempts");
    out += std::to_string(item.attempts);
    append_key(out, "seconds");
    append_seconds(out, item.seconds);
    append_text(out, "error", item.error);
    append_text(out, "reason", text_of(item.why));
    if (!item.content_encoding.empty()) append_text(out, "content_encoding", item.content_encoding);
    if (item.length_unknown) {
        append_key(out, "length_unknown");
        out += "true";
    }
    out += "}\n";
    return out;
}

ordered_lines::ordered_lines(const std::string& path)
    : label_(path == "-" ? "stdout" : http::detail::escape(path)), bound_(8U << 20U) {
    out_.reset(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                           : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!out_) fail(errno);
}

ordered_lines::ordered_lines(plait::detail::unique_fd out, std::string label, std::size_t memory_bound)
    : out_(std::move(out)), label_(std::move(label)), bound_(memory_bound) {}

void ordered_lines::fail(int error) const {
    throw run_error("cannot write the report " + label_ + ": " + plait::detail::errno_text(error));
}

void ordered_lines::put(std::uint64_t number, std::string line) {
    if (number == next_ && waiting_.empty()) { // the usual case: nobody waits
        emit(line);
        ++next_;
        return;
    }
    const auto index = static_cast<std::size_t>(number - next_);
    if (index >= waiting_.size()) waiting_.resize(index + 1);
    slot& entry = waiting_[index];
    entry.there = true;
    if (held_ + line.size() > bound_ && index != 0) {
        spill(entry, line);
    } else {
        held_ += line.size();
        entry.line = std::move(line);
    }
    for (; !waiting_.empty() && waiting_.front().there; waiting_.pop_front(), ++next_) {
        const slot& first = waiting_.front();
        if (first.length != 0) {
            emit(read_back(first));
        } else {
            held_ -= first.line.size();
            emit(first.line);
        }
    }
    if (waiting_.empty() && spilled_ != 0) {
        if (::ftruncate(spill_.get(), 0) != 0) fail(errno);
        spilled_ = 0;
    }
}

void ordered_lines::emit(std::string_view line) {
    ready_ += line;
    if (ready_.size() >= write_size) flush();
}

void ordered_lines::flush() {
    std::string_view rest{ready_};
    while (!rest.empty()) {
        const ssize_t done = ::write(out_.get(), rest.data(), rest.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) fail(errno);
        rest.remove_prefix(static_cast<std::size_t>(done));
    }
    ready_.clear();
}

void ordered_lines::spill(slot& entry, std::string_view line) {
    if (!spill_) {
        spill_.reset(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!spill_) spill_.reset(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!spill_) spill_.reset(::memfd_create("plait-report", MFD_CLOEXEC));
        if (!spill_) fail(errno);
    }
    entry.offset = spilled_;
    entry.length = static_cast<std::uint32_t>(line.size());
    while (!line.empty()) {
        const ssize_t done = ::pwrite(spill_.get(), line.data(), line.size(), static_cast<off_t>(spilled_));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) fail(done < 0 ? errno : EIO);
        spilled_ += static_cast<std::uint64_t>(done);
        line.remove_prefix(static_cast<std::size_t>(done));
    }
}

std::string ordered_lines::read_back(const slot& entry) {
    std::string line(entry.length, '\0');
    for (std::size_t have = 0; have < line.size();) {
        const ssize_t got = ::pread(spill_.get(), line.data() + have, line.size() - have,
                                    static_cast<off_t>(entry.offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail(got < 0 ? errno : EIO);
        have += static_cast<std::size_t>(got);
    }
    return line;
}

} // namespace plait::fetch
