// SPDX-License-Identifier: Apache-2.0
#include "fetch/input.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "http/escape.hpp"
#include "sys/errors.hpp"
#include <plait/fetch.hpp>

namespace plait::fetch {
namespace {

constexpr std::size_t block_size = 64 * 1024;

bool blank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

} // namespace

input::input(std::vector<std::string> urls, const std::string& list) : urls_(std::move(urls)) {
    if (!list.empty()) open(list);
}

input::input(plait::detail::unique_fd list, std::string label)
    : fd_(std::move(list)), label_(std::move(label)) {
    struct stat info{};
    on_disk_ = ::fstat(fd_.get(), &info) == 0 && S_ISREG(info.st_mode);
}

void input::open(const std::string& list) {
    const bool is_stdin = list == "-";
    label_ = is_stdin ? "stdin" : http::detail::escape(list);
    fd_.reset(is_stdin ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                       : ::open(list.c_str(), O_RDONLY | O_CLOEXEC));
    const auto refuse = [&](const std::string& why) {
        throw run_error("cannot read the list " + label_ + ": " + why);
    };
    if (!fd_) refuse(plait::detail::errno_text(errno));
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) refuse(plait::detail::errno_text(errno));
    if (S_ISDIR(info.st_mode)) refuse(plait::detail::errno_text(EISDIR));
    on_disk_ = S_ISREG(info.st_mode);
}

bool input::ready() {
    if (next_url_ < urls_.size() || !fd_ || ended_ || on_disk_) return true;
    if (buffer_.find('\n', at_) != std::string::npos) return true;
    pollfd state{fd_.get(), POLLIN, 0};
    return ::poll(&state, 1, 0) != 0;
}

void input::fill() {
    buffer_.erase(0, at_);
    at_ = 0;
    const std::size_t old = buffer_.size();
    buffer_.resize(old + block_size);
    ssize_t got = -1;
    do {
        got = ::read(fd_.get(), buffer_.data() + old, block_size);
    } while (got < 0 && errno == EINTR);
    const int error = errno;
    buffer_.resize(old + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0)
        throw run_error("cannot read the list " + label_ + " after line " + std::to_string(line_number_) +
                        ": " + plait::detail::errno_text(error));
    ended_ = got == 0;
}

input::line_state input::next_line(std::string& line) {
    bool too_long = false;
    line.clear();
    for (std::size_t searched = at_;;) {
        const std::size_t end = buffer_.find('\n', searched);
        const bool found = end != std::string::npos;
        if (found || ended_) {
            const std::size_t stop = found ? end : buffer_.size();
            if (!found && stop == at_ && !too_long) return line_state::none;
            if (!too_long) line.assign(buffer_, at_, stop - at_);
            at_ = found ? end + 1 : stop;
            if (line.size() > longest_line) too_long = true;
            break;
        }
        if (buffer_.size() - at_ > longest_line) { // keep its beginning, let the rest go by
            if (!too_long) line.assign(buffer_, at_, 256);
            too_long = true;
            at_ = buffer_.size();
        }
        const std::size_t pending = buffer_.size() - at_;
        fill();
        searched = pending;
    }
    ++line_number_;
    if (line_number_ == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    if (line.ends_with('\r')) line.pop_back();
    if (too_long && line.size() > 256) line.resize(256);
    return too_long ? line_state::too_long : line_state::whole;
}

void input::take_apart(std::string_view line, input_item& out) {
    const std::size_t tab = line.find('\t');
    out.text = line.substr(0, tab);
    out.name = tab == std::string_view::npos ? std::string_view{} : line.substr(tab + 1);
    out.fault.clear();
    if (out.name.find('\0') != std::string::npos)
        out.fault = "a NUL byte at column " + std::to_string(tab + 2 + out.name.find('\0'));
    else if (!parser_.parse(out.text, out.url))
        out.fault = parser_.fault();
}

bool input::next(input_item& out) {
    if (next_url_ < urls_.size()) {
        out.text = urls_[next_url_];
        out.name.clear();
        out.fault.clear();
        if (!parser_.parse(out.text, out.url))
            out.fault = "argument " + std::to_string(next_url_ + 1) + ": " + parser_.fault();
        ++next_url_;
        return true;
    }
    if (!fd_) return false;
    for (;;) {
        const line_state state = next_line(line_);
        if (state == line_state::none) return false;
        if (state == line_state::whole && (line_.starts_with('#') || blank(line_))) continue;
        take_apart(line_, out);
        if (state == line_state::too_long)
            out.fault = "longer than " + std::to_string(longest_line) + " bytes";
        if (!out.fault.empty()) out.fault.insert(0, label_ + ":" + std::to_string(line_number_) + ": ");
        return true;
    }
}

} // namespace plait::fetch
