// SPDX-License-Identifier: Apache-2.0
#include <plait/remote_error.hpp>

#include "sys/errors.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

namespace plait {
namespace {

constexpr std::size_t frames_in_what = 5;
constexpr std::size_t longest_name = 120; // of a function, in what(): templates have endless ones
constexpr std::size_t longest_line = 200; // of the output

std::string hexadecimal(std::uint64_t number) {
    char text[24];
    std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(number));
    return text;
}

std::string seconds_text(std::int64_t nanoseconds) {
    char text[32];
    const double seconds = static_cast<double>(nanoseconds) * 1e-9;
    if (seconds < 1)
        std::snprintf(text, sizeof(text), "%.3g ms", seconds * 1e3);
    else
        std::snprintf(text, sizeof(text), "%.1f s", seconds);
    return text;
}

std::string_view file_name(const std::string& path) {
    const std::string_view whole{path};
    return whole.substr(whole.rfind('/') + 1); // npos + 1 is 0: without a folder all of it
}

std::string frame_text(const worker_lost::frame& f) {
    if (!f.function.empty()) return f.function;
    if (!f.module.empty()) return std::string{file_name(f.module)} + "+" + hexadecimal(f.place);
    return hexadecimal(f.place);
}

// Not the way by which the C library and C++ come to abort, where there is anything else.
std::size_t first_of_interest(const worker_lost::details& d) {
    const auto own = std::ranges::find_if(d.frames, [](const worker_lost::frame& f) {
        const std::string_view file = file_name(f.module);
        return !file.starts_with("libc.so") && !file.starts_with("libstdc++.so") &&
               !file.starts_with("libgcc_s.so") && !file.starts_with("libpthread.so") &&
               !f.function.starts_with("plait::detail::(anonymous namespace)::report_terminate");
    });
    return own == d.frames.end() ? 0 : static_cast<std::size_t>(own - d.frames.begin());
}

std::string top_frames(const worker_lost::details& d) {
    std::string text;
    const std::size_t first = first_of_interest(d);
    for (std::size_t i = first; i < d.frames.size() && i < first + frames_in_what; ++i) {
        std::string one = frame_text(d.frames[i]);
        if (one.size() > longest_name) one = one.substr(0, longest_name) + "...";
        text += (i == first ? "" : ", ") + one;
    }
    return text;
}

std::string last_line(const std::string& output) {
    std::string_view text{output};
    while (text.ends_with('\n')) text.remove_suffix(1);
    text = text.substr(text.rfind('\n') + 1);
    if (text.size() > longest_line) text = text.substr(text.size() - longest_line);
    return std::string{text};
}

std::string describe_task(const worker_lost::details& d) {
    std::string text = " in task #" + std::to_string(d.task);
    if (!d.function.empty()) text += " '" + d.function + "'";
    text += " (attempt " + std::to_string(d.attempts) + " of " +
            std::to_string(std::max(d.attempts, d.most_attempts));
    if (d.duration != 0) text += ", " + seconds_text(d.duration);
    if (d.peak_memory != 0) text += ", peak " + std::to_string(d.peak_memory >> 20) + " MiB";
    return text + ")";
}

std::string describe(const worker_lost::details& d) {
    std::string text = "worker " + std::to_string(d.worker) + " (pid " + std::to_string(d.pid) + ") ";
    if (d.signal != 0)
        text += "was killed by " + detail::signal_text(d.signal);
    else if (d.status >= 0)
        text += "ended with exit status " + std::to_string(d.status);
    else
        text += "died (how is not known)";
    if (d.faulted) text += " at address " + hexadecimal(d.address);
    if (d.task != 0) text += describe_task(d);
    if (!d.thrown.empty()) text += "; std::terminate was called for " + d.thrown;
    if (!d.frames.empty()) text += "; top frames: " + top_frames(d);
    if (const std::string line = last_line(d.output); !line.empty()) text += "; last output: " + line;
    if (!d.reason.empty()) text += "; " + d.reason;
    if (!d.earlier.empty()) text += "; before: " + d.earlier;
    return text;
}

} // namespace

remote_error::remote_error(details d) : std::runtime_error{d.message}, details_{std::move(d)} {}

worker_lost::worker_lost(details d) : std::runtime_error{describe(d)}, details_{std::move(d)} {}

std::string worker_lost::stack() const {
    std::string text;
    for (std::size_t i = 0; i < details_.frames.size(); ++i) {
        const frame& f = details_.frames[i];
        text += "#" + std::to_string(i) + " " + frame_text(f);
        if (!f.function.empty()) text += " + " + hexadecimal(f.offset);
        if (!f.module.empty()) text += " in " + f.module + " (" + hexadecimal(f.place) + ")";
        text += '\n';
    }
    return text;
}

} // namespace plait
