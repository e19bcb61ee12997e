// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/reason.hpp"
#include "sys/unique_fd.hpp"

namespace plait::fetch {

/// What became of one item.
struct row {
    std::string url;              // as given: the key
    std::string effective_url;    // without userinfo; empty = null
    std::string file;             // relative to the directory; empty = null, for it is not whole
    std::string error;            // empty = null
    std::string content_encoding; // stored as served; the key is there only if this is not empty
    std::uint64_t bytes = 0;
    double seconds = 0;
    int status = 0; // 0 = null
    unsigned attempts = 0;
    reason why = reason::none;
    bool length_unknown = false; // the body ended with the connection; the key is there only if so
};

/// Appends a JSON string in pure ASCII. Bytes that are not UTF-8 become U+FFFD.
void append_json(std::string& out, std::string_view text);

/// A number of seconds to the microsecond.
void append_seconds(std::string& out, double seconds);

/// The line of the report for an item, with its line end.
[[nodiscard]] std::string to_json_line(const row& item);

/// A file that gets lines in the order of their numbers, whichever order they are put in.
///
/// Lines that came too early are held in memory up to a bound, then in a file without a name.
///
/// Errors:  run_error if the report cannot be written.
class ordered_lines {
  public:
    /// `path`: a file, or `-` for stdout.
    explicit ordered_lines(const std::string& path);
    ordered_lines(plait::detail::unique_fd out, std::string label, std::size_t memory_bound = 8U << 20U);

    void put(std::uint64_t number, std::string line);
    /// Writes what is complete to the file.
    void flush();
    [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return held_; }

  private:
    struct slot {
        std::string line;         // empty while it is not there, or is in the spill
        std::uint64_t offset = 0; // in the spill
        std::uint32_t length = 0;
        bool there = false;
    };
    void emit(std::string_view line);
    void spill(slot& entry, std::string_view line);
    [[nodiscard]] std::string read_back(const slot& entry);
    [[noreturn]] void fail(int error) const;

    plait::detail::unique_fd out_;
    std::string label_;
    std::size_t bound_;
    std::deque<slot> waiting_; // the first has the number next_
    std::uint64_t next_ = 0;
    std::size_t held_ = 0;
    std::string ready_;
    plait::detail::unique_fd spill_;
    std::uint64_t spilled_ = 0;
};

/// What a run came to.
struct totals {
    std::uint64_t items = 0;
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;
    std::uint64_t done_bytes = 0; // without what failed
    std::uint64_t requests = 0;
    double seconds = 0;
    std::array<std::uint64_t, reason_texts.size()> by_reason{};
};

} // namespace plait::fetch
