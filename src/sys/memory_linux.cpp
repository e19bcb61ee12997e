// SPDX-License-Identifier: Apache-2.0
#include "sys/memory.hpp"

#include "sys/errors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace plait::detail {

unique_fd make_sealed_memory(const char* name, std::size_t size) {
    unique_fd memory = above_stdio(unique_fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)});
    if (!memory) throw_errno("memfd_create(" + std::string{name} + ")");
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) != 0)
        throw_errno("ftruncate(" + std::string{name} + ", " + std::to_string(size) + ")");
    if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        throw_errno("fcntl(" + std::string{name} + ", F_ADD_SEALS)");
    return memory;
}

void reserve_memory(int memory, std::size_t size) {
    // In pieces: a signal undoes what its piece has got so far.
    std::size_t piece = std::size_t{64} << 20;
    for (std::size_t done = 0; done < size;) {
        const std::size_t now = std::min(piece, size - done);
        if (::fallocate(memory, 0, static_cast<off_t>(done), static_cast<off_t>(now)) == 0) {
            done += now;
        } else if (errno == EINTR) {
            piece = std::max(piece / 4, std::size_t{256} << 10);
        } else {
            throw_errno("fallocate(" + std::to_string(size) + " bytes of shared memory)");
        }
    }
}

shared_mapping::shared_mapping(int memory, std::size_t size, mapped how) : size_{size} {
    const int access = how == mapped::writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void* address = ::mmap(nullptr, size, access, MAP_SHARED, memory, 0);
    if (address == MAP_FAILED) throw_errno("mmap(" + std::to_string(size) + " shared bytes)");
    data_ = static_cast<std::byte*>(address);
}

shared_mapping::~shared_mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

} // namespace plait::detail
