// SPDX-License-Identifier: Apache-2.0
#include "process/captured_output.hpp"

#include "sys/errors.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace plait::detail {

unique_fd captured_output::open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("process_pool: pipe2 for .capture_output");
    unique_fd near{ends[0]};
    unique_fd far{ends[1]};
    pipe_ = above_stdio(std::move(near));
    far = above_stdio(std::move(far));
    // The worker's end blocks: whoever prints faster than we read waits.
    if (!pipe_ || !far || ::fcntl(pipe_.get(), F_SETFL, O_NONBLOCK) != 0)
        throw_errno("process_pool: fcntl on the pipe for .capture_output");
    return far;
}

void captured_output::keep(const char* bytes, std::size_t count) {
    if (count > most_kept) {
        dropped_ += tail_.size() + (count - most_kept);
        tail_.clear();
        bytes += count - most_kept;
        count = most_kept;
    }
    tail_.append(bytes, count);
    if (tail_.size() <= 2 * most_kept) return;
    dropped_ += tail_.size() - most_kept;
    tail_.erase(0, tail_.size() - most_kept);
}

bool captured_output::read() {
    int there = 0;
    if (!pipe_ || ::ioctl(pipe_.get(), FIONREAD, &there) != 0 || there <= 0) return false;
    char part[16384];
    for (auto left = static_cast<std::size_t>(there); left != 0;) {
        const ssize_t got = ::read(pipe_.get(), part, std::min(left, sizeof(part)));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        keep(part, static_cast<std::size_t>(got));
        left -= static_cast<std::size_t>(got);
    }
    return true;
}

std::string captured_output::take() {
    std::string text = std::exchange(tail_, {});
    std::uint64_t dropped = std::exchange(dropped_, 0);
    if (text.size() > most_kept) {
        dropped += text.size() - most_kept;
        text.erase(0, text.size() - most_kept);
    }
    if (dropped != 0) text.insert(0, "[" + std::to_string(dropped) + " bytes before this are not kept]\n");
    return text;
}

} // namespace plait::detail
