// SPDX-License-Identifier: Apache-2.0
#include "sys/resident.hpp"

#include "sys/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace plait::detail {
namespace {

// "RssAnon:      1234 kB"
std::uint64_t kilobytes_of(const char* text, const char* name) noexcept {
    const char* line = std::strstr(text, name);
    return line == nullptr ? 0 : std::strtoull(line + std::strlen(name), nullptr, 10);
}

} // namespace

std::uint64_t resident_memory(int pid) noexcept {
    char text[4096];
    std::snprintf(text, sizeof(text), "/proc/%d/status", pid);
    const unique_fd file{::open(text, O_RDONLY | O_CLOEXEC)};
    const ssize_t size = file ? ::read(file.get(), text, sizeof(text) - 1) : -1;
    if (size <= 0) return 0;
    text[size] = '\0';
    return (kilobytes_of(text, "RssAnon:") + kilobytes_of(text, "RssShmem:")) << 10;
}

} // namespace plait::detail
