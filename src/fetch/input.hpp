// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/url.hpp"
#include "sys/unique_fd.hpp"

namespace plait::fetch {

/// The longest line of a list; what is longer is an error of that line.
inline constexpr std::size_t longest_line = 64 * 1024;

/// One item of the input: a URL that may be asked, or what is wrong with its line.
struct input_item {
    std::string text;      // the URL as given: the key of the report
    std::string name;      // the name that the list gave, or empty
    http::detail::url url; // taken apart; only without a fault
    std::string fault;     // "urls.txt:17: a space at column 11"; empty if all is well
};

/// Reads URLs, first those of the command line, then those of a list, one at a time and never far ahead.
///
/// A line is a URL, or a URL, a TAB and a file name. Empty lines and lines that begin with `#` are passed
/// over. A BOM, CRLF and a missing last newline are understood. A line that is no URL, holds a NUL or exceeds
/// 64 KiB comes out as an item with a fault that names the line; the rest goes on.
///
/// Errors:  the constructor and next() throw run_error if the list cannot be read.
class input {
  public:
    /// `list`: a path, `-` for stdin, or empty.
    input(std::vector<std::string> urls, const std::string& list);
    /// Reads from a descriptor; `label` stands for it in messages.
    input(plait::detail::unique_fd list, std::string label);

    /// False at the end.
    [[nodiscard]] bool next(input_item& out);

    /// False if next() would have to wait for a pipe or a terminal: half a line has come, or nothing. Reads
    /// what there is, without waiting. Throws like next().
    [[nodiscard]] bool ready();
    /// As next(), but of a pipe or a terminal only what has been read already.
    [[nodiscard]] bool next_at_hand(input_item& out);
    /// Whether the whole list is on disk, so that reading it to the end takes no waiting.
    [[nodiscard]] bool on_disk() const noexcept { return on_disk_; }
    /// How many URLs there will be, if that is known before the end: only without a list.
    [[nodiscard]] std::size_t given() const noexcept { return urls_.size(); }
    [[nodiscard]] bool has_list() const noexcept { return fd_.get() >= 0; }

  private:
    enum class state { pending, nothing_yet, end };
    enum class reading { waits, polls, not_at_all };
    void open(const std::string& list);
    [[nodiscard]] bool next_argument(input_item& out);
    [[nodiscard]] state look(reading how);
    [[nodiscard]] state look_for_line(reading how);
    [[nodiscard]] bool fill(reading how);
    [[nodiscard]] bool give(input_item& out);
    void take_apart(std::string_view line, input_item& out);

    std::vector<std::string> urls_;
    std::size_t next_url_ = 0;
    plait::detail::unique_fd fd_;
    std::string label_;
    bool on_disk_ = true;
    bool ended_ = false;
    std::uint64_t line_number_ = 0;
    std::string buffer_;
    std::size_t at_ = 0;       // where the unread part of the buffer begins
    std::size_t searched_ = 0; // no line ends between at_ and here
    std::string line_;         // the one that next() gives, if it is pending
    bool pending_ = false;
    bool too_long_ = false; // it is, or the one that is being read; then line_ is its beginning
    http::detail::url_parser parser_;
};

} // namespace plait::fetch
