// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>

namespace plait::detail {

/// Memory for tasks and coroutine frames: free blocks per thread, by 64 bytes up to 2 KiB. A freed block is
/// the freeing thread's; what a thread has too much of goes to a central depot in batches. Throws bad_alloc.
/// Alignment: 16.
[[gnu::visibility("default")]] void* allocate_block(std::size_t size);
[[gnu::visibility("default")]] void free_block(void* block, std::size_t size) noexcept;

/// Base for what lives in such memory.
struct pooled {
    static void* operator new(std::size_t size) { return allocate_block(size); }
    static void operator delete(void* block, std::size_t size) noexcept { free_block(block, size); }
    // What asks for more than 16: a closure with a vector register in it.
    static void* operator new(std::size_t size, std::align_val_t alignment) {
        return ::operator new(size, alignment);
    }
    static void operator delete(void* block, std::align_val_t alignment) noexcept {
        ::operator delete(block, alignment);
    }
};

} // namespace plait::detail
