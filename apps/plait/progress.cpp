// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace plait::app {
namespace {

constexpr std::size_t shown_failures = 5;
constexpr double between_plain_lines = 10;

void say(std::string_view text) {
    while (!text.empty()) {
        const ssize_t done = ::write(STDERR_FILENO, text.data(), text.size());
        if (done < 0 && errno == EINTR) continue; // Ctrl-C must not cut a line
        if (done <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(done));
    }
}

bool is_terminal() {
    const char* const term = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) == 1 && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

std::size_t terminal_width() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

char site_mark(std::size_t site) { return site < 26 ? static_cast<char>('a' + site) : '?'; }

char worker_mark(std::size_t worker) {
    constexpr std::string_view marks = "0123456789abcdefghijklmnopqrstuvwxyz";
    return worker < marks.size() ? marks[worker] : '+';
}

} // namespace

std::string size_text(double bytes) {
    const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

fetch_progress::fetch_progress(const fetch_command& command)
    : marks_(command.marks), quiet_(command.quiet), terminal_(is_terminal()) {}

void fetch_progress::ended(const fetch::item_end& item) {
    if (!item.error.empty()) {
        auto& of_reason = failed_.try_emplace(std::string{item.reason}).first->second;
        if (++of_reason.count <= shown_failures)
            of_reason.first.push_back(
                fmt::format("{}: {}", fetch::printable_url(item.url), fetch::printable(item.error)));
        return;
    }
    if (marks_ == mark::none || !item.asked) return; // a repetition is no download
    const char one = marks_ == mark::site ? site_mark(item.site) : worker_mark(item.worker);
    marked_ = true;
    while (::write(STDOUT_FILENO, &one, 1) < 0 && errno == EINTR) {}
}

/// By bytes once half of the lengths are known, else by items; below 0 if nobody can tell.
double fetch_progress::seconds_left(const fetch::progress& so_far) const {
    const std::uint64_t over = so_far.done + so_far.failed;
    if (!so_far.all_known || over >= so_far.known || so_far.seconds <= 1) return -1;
    const std::uint64_t wanted = so_far.known - so_far.failed;
    if (so_far.lengths_known * 2 >= wanted && so_far.lengths > 0 && rate_ > 0) {
        const double all = static_cast<double>(so_far.lengths) / static_cast<double>(so_far.lengths_known) *
                           static_cast<double>(wanted);
        return std::max(0.0, all - static_cast<double>(so_far.bytes)) / rate_;
    }
    if (over == 0 || over * 20 < so_far.known) return -1;
    return so_far.seconds / static_cast<double>(over) * static_cast<double>(so_far.known - over);
}

std::string fetch_progress::line_of(const fetch::progress& so_far) const {
    std::string line = so_far.all_known ? fmt::format("{}/{} done", so_far.done, so_far.known)
                                        : fmt::format("{} done", so_far.done);
    if (so_far.failed != 0) line += fmt::format(", {} failed", so_far.failed);
    line += fmt::format(", {} at {}/s, {} in flight", size_text(static_cast<double>(so_far.bytes)),
                        size_text(rate_), so_far.in_flight);
    if (so_far.waiting_hosts != 0) line += fmt::format(", {} hosts wait", so_far.waiting_hosts);
    if (const double left = seconds_left(so_far); left >= 0)
        line += fmt::format(", about {:.0f} s left", left);
    return line;
}

void fetch_progress::moved(const fetch::progress& so_far) {
    if (so_far.seconds > last_seconds_) {
        const double now = static_cast<double>(so_far.bytes - last_bytes_) / (so_far.seconds - last_seconds_);
        rate_ = last_seconds_ == 0 ? now : 0.8 * rate_ + 0.2 * now;
        last_seconds_ = so_far.seconds;
        last_bytes_ = so_far.bytes;
    }
    if (quiet_) return;
    if (terminal_) {
        if (marks_ == mark::none) draw(line_of(so_far));
    } else if (so_far.seconds - last_plain_ >= between_plain_lines) {
        last_plain_ = so_far.seconds;
        say("plait fetch: " + line_of(so_far) + '\n');
    }
}

void fetch_progress::draw(const std::string& line) {
    say("\r" + line.substr(0, terminal_width() - 1) + "\x1b[K");
    drawn_ = true;
}

void fetch_progress::erase() {
    if (drawn_) say("\r\x1b[K");
    drawn_ = false;
}

void fetch_progress::note(std::string_view text) {
    erase();
    say(fmt::format("plait fetch: {}\n", text));
}

void fetch_progress::stopping(std::size_t in_flight) {
    if (!quiet_) note(fmt::format("stopping: {} in flight, again to stop now", in_flight));
}

void fetch_progress::finish(const fetch::summary& result) {
    erase();
    while (marked_ && ::write(STDOUT_FILENO, "\n", 1) < 0 && errno == EINTR) {}
    std::string out;
    for (const auto& [reason, of_reason] : failed_) {
        if (reason == "not_started") continue; // they are many, and say nothing
        for (const std::string& line : of_reason.first) out += fmt::format("plait fetch: {}\n", line);
        if (of_reason.count > of_reason.first.size())
            out += fmt::format("plait fetch: ... and {} more: {}\n", of_reason.count - of_reason.first.size(),
                               reason);
    }
    if (!result.run_error.empty()) out += fmt::format("plait fetch: {}\n", result.run_error);
    if (!quiet_) {
        out += fmt::format("plait fetch: {} of {} done, {} in {:.1f} s", result.done, result.items,
                           size_text(static_cast<double>(result.bytes)), result.seconds);
        const char* before = "; failed: ";
        for (const auto& [reason, count] : result.reasons) {
            out += fmt::format("{}{} {}", before, count, reason);
            before = ", ";
        }
        out += result.interrupted ? "; interrupted\n" : "\n";
    }
    say(out);
}

} // namespace plait::app
