// SPDX-License-Identifier: Apache-2.0
// Any bytes as a module's file: its symbols are found, or not.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "sys/symbols.hpp"
#include "sys/unique_fd.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const plait::detail::unique_fd file{memfd_create("module", MFD_CLOEXEC)};
    if (write(file.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    const std::uint64_t places[] = {0, 0x1000, 0x1010, ~std::uint64_t{0}};
    const std::byte id[] = {std::byte{1}, std::byte{2}};
    if (plait::detail::find_symbols(path, {}, places).size() != 4) std::abort();
    if (plait::detail::find_symbols(path, id, places).size() != 4) std::abort();
    return 0;
}
