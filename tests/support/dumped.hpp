// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/trace.hpp>

#include <array>
#include <cstddef>
#include <regex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

/// What `dump(descriptor)` writes.
template <class Dump>
std::string written_by(Dump dump) {
    const int fd = ::memfd_create("dump", MFD_CLOEXEC);
    dump(fd);
    std::string text;
    std::array<char, 4096> part;
    ::lseek(fd, 0, SEEK_SET);
    for (ssize_t n = 0; (n = ::read(fd, part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(n));
    ::close(fd);
    return text;
}

/// What dump_tasks() writes now.
inline std::string dumped(std::size_t most = 10'000) {
    return written_by([most](int fd) { plait::dump_tasks(fd, most); });
}

/// The same as soon as it looks like that, or in the end if it never does.
inline std::string dumped_as(const std::regex& expected) {
    std::string seen;
    for (int i = 0; i < 10'000 && !std::regex_match(seen, expected); ++i) {
        std::this_thread::yield();
        seen = dumped();
    }
    return seen;
}
