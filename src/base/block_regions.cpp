// SPDX-License-Identifier: Apache-2.0
#include "base/block_regions.hpp"

#include "sys/sanitized.hpp"

#include <new>
#include <sys/mman.h>

namespace plait::detail {

namespace {
bool make_accessible(std::uintptr_t at, std::size_t bytes) noexcept {
    return ::mprotect(reinterpret_cast<void*>(at), bytes, PROT_READ | PROT_WRITE) == 0;
}
} // namespace

block_regions::block_regions() noexcept {
    if (under_sanitizer) return; // ThreadSanitizer keeps books about what malloc gives
    // Addresses alone, which cost nothing; a piece more, to have them begin at a whole one.
    void* const at = ::mmap(nullptr, range_bytes + region_bytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return; // a limit on addresses: malloc, then
    const auto first = reinterpret_cast<std::uintptr_t>(at);
    const std::uintptr_t begin = (first + region_bytes - 1) / region_bytes * region_bytes;
    if (!make_accessible(begin, step_bytes)) return;
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
        unsigned char* const memory = memory_of(*r);
        for (; n != into.size() && (bytes_of(c) * (r->fresh + 1) <= r->accessible || extend(*r));
             ++n, ++r->out)
            into[n] = memory + bytes_of(c) * r->fresh++;
        if (n != into.size()) unlink(*r); // there is nothing left in it, or no memory for more
    }
    return n;
}

// More of its memory; false: all of it is accessible, or there is none.
bool block_regions::extend(region& r) noexcept {
    const std::size_t more = r.accessible == 0 && memory_of(r) - reinterpret_cast<unsigned char*>(begin_) >
                                                      static_cast<std::ptrdiff_t>(small_bytes)
                                 ? region_bytes
                                 : step_bytes;
    if (r.accessible == region_bytes) return false;
    const auto at = reinterpret_cast<std::uintptr_t>(memory_of(r)) + r.accessible;
    if (!make_accessible(at, more)) return false;
    if (more == region_bytes) ::madvise(reinterpret_cast<void*>(at), more, MADV_HUGEPAGE); // as a favour
    r.accessible += static_cast<std::uint32_t>(more);
    return true;
}

void block_regions::give(void* block) noexcept {
    region& r = region_of(block);
    r.given = ::new (block) free_block{r.given};
    if (!r.linked) link(r);
    if (--r.out != 0) return;
    // Whatever class needs one next has it. The kernel takes the pages when it is short of them, and until then
    // they need not be cleared again.
    unlink(r);
    ::madvise(memory_of(r), r.accessible, MADV_FREE);
    r.next = empty_;
    empty_ = &r;
}

// A piece for blocks of that class; null: no more addresses, or no memory.
block_regions::region* block_regions::open(std::size_t c) noexcept {
    region* r = empty_;
    if (r) {
        empty_ = r->next;
    } else {
        const std::uintptr_t piece = begin_ + used_;
        const std::uintptr_t header = begin_ + used_ / region_bytes * sizeof(region);
        if (used_ == reserved_) return nullptr;
        if (header % step_bytes == 0 && !make_accessible(header, step_bytes)) return nullptr;
        used_ += region_bytes;
        r = ::new (static_cast<void*>(&region_of(reinterpret_cast<void*>(piece)))) region;
    }
    r->given = nullptr;
    r->fresh = 0;
    r->of_class = static_cast<std::uint32_t>(c);
    if (r->accessible == 0 && !extend(*r)) {
        r->next = empty_;
        empty_ = r;
        return nullptr;
    }
    link(*r);
    return r;
}

void block_regions::link(region& r) noexcept {
    region*& first = with_room_[r.of_class];
    r.previous = nullptr;
    r.next = first;
    if (first) first->previous = &r;
    first = &r;
    r.linked = true;
}

void block_regions::unlink(region& r) noexcept {
    (r.previous ? r.previous->next : with_room_[r.of_class]) = r.next;
    if (r.next) r.next->previous = r.previous;
    r.linked = false;
}

} // namespace plait::detail
