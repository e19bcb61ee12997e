// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>

namespace plait::detail {

/// The free blocks of one size that a thread has at hand.
struct free_blocks {
    void** top = nullptr;   // the next one to take is below
    void** empty = nullptr; // top, when there are none
    void** full = nullptr;  // top, when there is no room for more
};
struct block_lists {
    static constexpr std::size_t granule = 64; // a block of list c has c + 1 of them
    static constexpr std::size_t classes = 32; // up to 2 KiB
    static constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / granule; }

    free_blocks of[classes]; // NOLINT(*-avoid-c-arrays): <array> would take public headers over their budget
};
/// This thread's; lists without blocks or room before its first use and at its very end. initial-exec: as
/// `this_execution`.
extern constinit thread_local block_lists* blocks_here
    [[gnu::visibility("default"), gnu::tls_model("initial-exec")]];

[[gnu::visibility("default")]] void* allocate_slowly(std::size_t size);
[[gnu::visibility("default")]] void free_slowly(void* block, std::size_t size) noexcept;

/// Memory for tasks and coroutine frames: free blocks per thread, by 64 bytes up to 2 KiB. A freed block is
/// the freeing thread's; what a thread has too much of goes to a central depot in batches. Throws bad_alloc.
/// Alignment: 16.
///
/// Inline, since a frame's size is constant where it is made: eight instructions, and no register to be saved.
inline void* allocate_block(std::size_t size) {
    if (const std::size_t c = block_lists::class_of(size); c < block_lists::classes) [[likely]]
        if (free_blocks& mine = blocks_here->of[c]; mine.top != mine.empty) [[likely]]
            return *--mine.top;
    return allocate_slowly(size);
}
inline void free_block(void* block, std::size_t size) noexcept {
    if (const std::size_t c = block_lists::class_of(size); c < block_lists::classes) [[likely]]
        if (free_blocks& mine = blocks_here->of[c]; mine.top != mine.full) [[likely]] {
            *mine.top++ = block;
            return;
        }
    free_slowly(block, size);
}

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
