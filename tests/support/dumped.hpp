// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/trace.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

/// What dump_tasks() writes now.
inline std::string dumped() {
    const int fd = ::memfd_create("dump", MFD_CLOEXEC);
    plait::dump_tasks(fd);
    std::string text(static_cast<std::size_t>(std::max<off_t>(0, ::lseek(fd, 0, SEEK_END))), '\0');
    EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(fd);
    return text;
}
