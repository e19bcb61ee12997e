// SPDX-License-Identifier: Apache-2.0
#include "sys/heap.hpp"

#include <malloc.h>

#include <cstddef>

namespace plait::detail {

void keep_large_blocks() noexcept {
    constexpr int largest = 256 << 20;
    ::mallopt(M_MMAP_THRESHOLD, largest);
    ::mallopt(M_TRIM_THRESHOLD, 2 * largest);
}

void return_unused_blocks() noexcept {
    constexpr std::size_t much = std::size_t{32} << 20; // as much it keeps by itself
    if (::mallinfo2().fordblks > much) ::malloc_trim(0);
}

} // namespace plait::detail
