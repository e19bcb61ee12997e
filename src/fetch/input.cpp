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
/// Of a pipe, before somebody else has a turn.
constexpr int fills_at_a_stretch = 4;
constexpr int lines_at_a_stretch = 1000;

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
    if (next_url_ < urls_.size() || !fd_ || on_disk_) return true;
    return look(reading::polls) != state::nothing_yet;
}

/// False if there is nothing to read now.
bool input::fill(reading how) {
    buffer_.erase(0, at_);
    searched_ -= at_;
    at_ = 0;
    for (;;) {
        pollfd readable{fd_.get(), POLLIN, 0};
        if (how == reading::polls && ::poll(&readable, 1, 0) == 0) return false;
        const std::size_t old = buffer_.size();
        buffer_.resize(old + block_size);
        const ssize_t got = ::read(fd_.get(), buffer_.data() + old, block_size);
        const int error = errno;
        buffer_.resize(old + static_cast<std::size_t>(got > 0 ? got : 0));
        ended_ = got == 0;
        if (got >= 0) return true;
        if (error == EAGAIN) { // whoever shares it has set O_NONBLOCK
            if (how == reading::polls) return false;
            (void)::poll(&readable, 1, -1);
        } else if (error != EINTR) {
            throw run_error("cannot read the list " + label_ + " after line " + std::to_string(line_number_) +
                            ": " + plait::detail::errno_text(error));
        }
    }
}

/// Until a line is in line_, whatever it holds.
input::state input::look_for_line(reading how) {
    int fills = 0;
    for (;;) {
        const std::size_t end = buffer_.find('\n', searched_);
        const bool found = end != std::string::npos;
        if (found || ended_) {
            const std::size_t stop = found ? end : buffer_.size();
            if (!found && stop == at_ && !too_long_) return state::end;
            if (!too_long_) line_.assign(buffer_, at_, stop - at_);
            at_ = searched_ = found ? end + 1 : stop;
            if (line_.size() > longest_line) too_long_ = true;
            break;
        }
        searched_ = buffer_.size();
        if (buffer_.size() - at_ > longest_line) { // keep its beginning, let the rest go by
            if (!too_long_) line_.assign(buffer_, at_, 256);
            too_long_ = true;
            at_ = searched_;
        }
        // A pipe may bring more without end; there are other things to do.
        if (how == reading::not_at_all || (how == reading::polls && ++fills > fills_at_a_stretch) ||
            !fill(how))
            return state::nothing_yet;
    }
    ++line_number_;
    if (line_number_ == 1 && line_.starts_with("\xef\xbb\xbf")) line_.erase(0, 3);
    if (line_.ends_with('\r')) line_.pop_back();
    if (too_long_ && line_.size() > 256) line_.resize(256);
    return state::pending;
}

/// Until a line is pending that is neither blank nor a comment.
input::state input::look(reading how) {
    for (int passed = 0; !pending_; ++passed) {
        if (how == reading::polls && passed > lines_at_a_stretch) return state::nothing_yet;
        const state found = look_for_line(how);
        if (found != state::pending) return found;
        pending_ = too_long_ || !(line_.starts_with('#') || blank(line_));
    }
    return state::pending;
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

bool input::next_argument(input_item& out) {
    if (next_url_ == urls_.size()) return false;
    out.text = urls_[next_url_];
    out.name.clear();
    out.fault.clear();
    if (!parser_.parse(out.text, out.url))
        out.fault = "argument " + std::to_string(next_url_ + 1) + ": " + parser_.fault();
    ++next_url_;
    return true;
}

bool input::give(input_item& out) {
    take_apart(line_, out);
    if (too_long_) out.fault = "longer than " + std::to_string(longest_line) + " bytes";
    if (!out.fault.empty()) out.fault.insert(0, label_ + ":" + std::to_string(line_number_) + ": ");
    pending_ = too_long_ = false;
    return true;
}

bool input::next(input_item& out) {
    if (next_argument(out)) return true;
    return fd_ && look(reading::waits) == state::pending && give(out);
}

bool input::next_at_hand(input_item& out) {
    if (on_disk_) return next(out);
    if (next_argument(out)) return true;
    return fd_ && look(reading::not_at_all) == state::pending && give(out);
}

} // namespace plait::fetch
