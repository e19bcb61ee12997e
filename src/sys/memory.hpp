// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace plait::detail {

/// Anonymous shared memory: a memfd of `size` bytes, sealed against shrinking and growing, as a peer that
/// truncates it would make the other side's next touch a SIGBUS. It has no name in any file system: nothing
/// can stay behind.
[[nodiscard]] unique_fd make_sealed_memory(const char* name, std::size_t size);

/// Gives the first `size` bytes of a memfd their pages, so that no later touch can fail. Throws system_error.
void reserve_memory(int memory, std::size_t size);

/// How many bytes can be taken before the kernel kills somebody for them: what is available on the machine,
/// and in each control group (`memory.max`, or version 1's limit) that this process is in. The most that
/// there is, if nothing can be read.
[[nodiscard]] std::uint64_t memory_room(const std::string& membership = "/proc/self/cgroup",
                                        const std::string& root = "/sys/fs/cgroup",
                                        const std::string& machine = "/proc/meminfo");

enum class mapped : bool { read_only, writable };

/// A shared mapping of the first `size` bytes of a descriptor; the descriptor may be closed
/// afterwards.
class shared_mapping {
  public:
    shared_mapping() noexcept = default;
    shared_mapping(const unique_fd& memory, std::size_t size)
        : shared_mapping{memory.get(), size, mapped::writable} {}
    shared_mapping(int memory, std::size_t size, mapped how);
    shared_mapping(shared_mapping&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
    shared_mapping& operator=(shared_mapping&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    shared_mapping(const shared_mapping&) = delete;
    shared_mapping& operator=(const shared_mapping&) = delete;
    ~shared_mapping();

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

  private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace plait::detail
