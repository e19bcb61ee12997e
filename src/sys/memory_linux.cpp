// SPDX-License-Identifier: Apache-2.0
#include "sys/memory.hpp"

#include "sys/errors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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

shared_mapping::shared_mapping(const unique_fd& memory, std::size_t size) : size_{size} {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (address == MAP_FAILED) throw_errno("mmap(" + std::to_string(size) + " shared bytes)");
    data_ = static_cast<std::byte*>(address);
}

shared_mapping::~shared_mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

} // namespace plait::detail
