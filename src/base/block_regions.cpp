// SPDX-License-Identifier: Apache-2.0
#include "base/block_regions.hpp"

#include "sys/sanitized.hpp"

#include <new>
#include <sys/mman.h>

namespace plait::detail {

block_regions::block_regions() noexcept {
    if (under_sanitizer) return; // ThreadSanitizer keeps books about what malloc gives
    // Addresses alone, which cost nothing; a piece more, to have them begin at a whole one.
    void* const at = ::mmap(nullptr, range_bytes + region_bytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return; // a limit on addresses: malloc, then
    const auto first = reinterpret_cast<std::uintptr_t>(at);
    const std::uintptr_t begin = (first + region_bytes - 1) / region_bytes * region_bytes;
    if (::mprotect(reinterpret_cast<void*>(begin), region_bytes, PROT_READ | PROT_WRITE) != 0) return;
    begin_ = begin;
    reserved_ = range_bytes;
    used_ = region_bytes;
}

unsigned char* block_regions::memory_of(const region& r) const noexcept {
    const auto number = static_cast<std::size_t>(&r - reinterpret_cast<const region*>(begin_));
    return reinterpret_cast<unsigned char*>(begin_ + number * region_bytes);
}

block_regions::region& block_regions::region_of(const void* block) const noexcept {
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(block) - begin_;
    return reinterpret_cast<region*>(begin_)[offset / region_bytes];
}

std::size_t block_regions::take(std::size_t c, std::span<void*> into) noexcept {
    std::size_t n = 0;
    while (n != into.size()) {
        region* const r = with_room_[c] ? with_room_[c] : open(c);
        if (!r) break;
        for (; n != into.size() && r->given; ++n) {
            into[n] = r->given;
            r->given = r->given->next;
            ++r->out;
        }
        // From the front, so that pages are touched one after the other.
        unsigned char* const end = memory_of(*r) + region_bytes;
        for (; n != into.size() && r->unused != 0; ++n, ++r->out) into[n] = end - bytes_of(c) * r->unused--;
        if (!r->given && r->unused == 0) unlink(*r);
    }
    return n;
}

void block_regions::give(void* block) noexcept {
    region& r = region_of(block);
    r.given = ::new (block) free_block{r.given};
    if (!r.linked) link(r);
    if (--r.out != 0) return;
    // Whatever class needs one next has it. The kernel takes the pages when it is short of them, and until then
    // they need not be cleared again.
    unlink(r);
    ::madvise(memory_of(r), region_bytes, MADV_FREE);
    r.next = empty_;
    empty_ = &r;
}

// A piece for blocks of that class; null: no more addresses, or no memory.
block_regions::region* block_regions::open(std::size_t c) noexcept {
    region* r = empty_;
    if (r) {
        empty_ = r->next;
    } else {
        if (used_ == reserved_) return nullptr;
        void* const memory = reinterpret_cast<void*>(begin_ + used_);
        if (::mprotect(memory, region_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
        r = &region_of(memory);
        if (used_ > small_bytes) ::madvise(memory, region_bytes, MADV_HUGEPAGE); // as a favour
        used_ += region_bytes;
    }
    ::new (static_cast<void*>(r)) region;
    r->size = static_cast<std::uint32_t>(c);
    r->unused = static_cast<std::uint32_t>(region_bytes / bytes_of(c));
    link(*r);
    return r;
}

void block_regions::link(region& r) noexcept {
    region*& first = with_room_[r.size];
    r.previous = nullptr;
    r.next = first;
    if (first) first->previous = &r;
    first = &r;
    r.linked = true;
}

void block_regions::unlink(region& r) noexcept {
    (r.previous ? r.previous->next : with_room_[r.size]) = r.next;
    if (r.next) r.next->previous = r.previous;
    r.linked = false;
}

} // namespace plait::detail
