// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace plait::detail {

/// Where the free lists of frame.cpp get their blocks from, and what they have too much of goes back to:
/// pieces of 2 MiB of one reserved range of addresses, each cut into blocks of one size, a whole number of
/// lines. So an address tells whether it is such a block.
///
/// malloc walks lists in freed memory, which no cache holds any more, gives blocks that straddle a line, and
/// takes fresh memory from the kernel page by page. The first pieces are made accessible, and so count as
/// this process's data, as far as they are used; of the others each is one huge page, if the kernel has any.
///
/// A piece all of whose blocks are back is offered to the kernel, which takes it when memory is short.
///
/// Threads:  one at a time.
class block_regions {
  public:
    static constexpr std::size_t granule = 64; // a block of class c has c + 1 of them
    static constexpr std::size_t classes = 32;

    block_regions() noexcept;
    block_regions(const block_regions&) = delete;
    block_regions& operator=(const block_regions&) = delete;

    /// Fills `into` with blocks, as far as there are any: the number.
    std::size_t take(std::size_t c, std::span<void*> into) noexcept;
    void give(void* block) noexcept;
    /// From any thread: did it come from here?
    bool owns(const void* block) const noexcept {
        return reinterpret_cast<std::uintptr_t>(block) - begin_ < reserved_;
    }

  private:
    static constexpr std::size_t region_bytes = std::size_t{2} << 20;
    static constexpr std::size_t range_bytes = std::size_t{16} << 30;
    static constexpr std::size_t small_bytes = 16 * region_bytes; // in small pages
    static constexpr std::size_t step_bytes = std::size_t{64}
                                              << 10; // of those, what is made accessible at once

    struct free_block {
        free_block* next;
    };
    struct alignas(granule) region { // what is known of a piece; all of them stand in the first one
        region* next = nullptr;      // of its class's that have room, or of the empty ones
        region* previous = nullptr;
        free_block* given = nullptr; // back
        std::uint32_t fresh = 0; // of its blocks the first that has never been out, since it is of this class
        std::uint32_t out = 0;
        std::uint32_t of_class = 0;
        std::uint32_t accessible = 0; // bytes
        bool linked = false;
    };
    static std::size_t bytes_of(std::size_t c) noexcept { return (c + 1) * granule; }

    // A piece's memory; the other way round for any address in it.
    unsigned char* memory_of(const region& r) const noexcept;
    region& region_of(const void* block) const noexcept;
    region* open(std::size_t c) noexcept;
    bool extend(region& r) noexcept;
    void link(region& r) noexcept;
    void unlink(region& r) noexcept;

    std::uintptr_t begin_ = 0; // the range; nothing if it is not to be had
    std::size_t reserved_ = 0;
    std::size_t used_ = 0; // bytes of it that have been pieces
    region* empty_ = nullptr;
    std::array<region*, classes> with_room_{};
};

} // namespace plait::detail
