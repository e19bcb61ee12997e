// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/bytes.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::size_t smallest_capacity = 128;
constexpr std::size_t huge_threshold = std::size_t{4} << 20;
constexpr std::uintptr_t huge_page = std::uintptr_t{2} << 20;

void advise_huge(void* data, std::size_t size) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(data);
    const std::uintptr_t begin = (address + huge_page - 1) & ~(huge_page - 1);
    const std::uintptr_t end = (address + size) & ~(huge_page - 1);
    // Only advice: where it is refused the memory is slower, not wrong.
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

// The large block that was freed last. To have another one from the kernel costs its clearing, which takes longer than the
// copy that it is for. Meanwhile the kernel may have its pages when it is short.
constinit std::mutex spare_lock;
constinit std::byte* spare = nullptr;
constinit std::size_t spare_size = 0;
constexpr std::size_t largest_spare = std::size_t{256} << 20;

/// `size` becomes what it is. Throws bad_alloc.
std::byte* take_large(std::size_t& size) {
    const std::size_t wanted = (size + huge_page - 1) & ~(huge_page - 1);
    {
        const std::lock_guard guard{spare_lock};
        if (spare_size >= wanted) {
            size = std::exchange(spare_size, 0);
            return std::exchange(spare, nullptr);
        }
    }
    // With room to begin at a huge page.
    void* const mapped = ::mmap(nullptr, wanted + huge_page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc{};
    auto* const begin = static_cast<std::byte*>(mapped);
    const std::size_t before = -reinterpret_cast<std::uintptr_t>(begin) & (huge_page - 1);
    if (before != 0) ::munmap(begin, before);
    if (before != huge_page) ::munmap(begin + before + wanted, huge_page - before);
    size = wanted;
    advise_huge(begin + before, wanted);
    return begin + before;
}

void give_large(std::byte* data, std::size_t size) noexcept {
    if (size <= largest_spare) {
        ::madvise(data, size, MADV_FREE);
        const std::lock_guard guard{spare_lock};
        if (size > spare_size) {
            std::swap(spare, data);
            std::swap(spare_size, size);
        }
    }
    if (data != nullptr) ::munmap(data, size);
}

} // namespace

void byte_buffer::free_memory() noexcept {
    if (capacity_ >= huge_threshold)
        give_large(data_, capacity_);
    else
        std::free(data_);
}

void byte_buffer::grow(std::size_t more) {
    if (more > static_cast<std::size_t>(PTRDIFF_MAX) - size_) throw std::bad_alloc{};
    std::size_t wanted = std::max({smallest_capacity, size_ + more, capacity_ + capacity_ / 2});
    if (wanted < huge_threshold) {
        void* moved = std::realloc(borrowed_ ? nullptr : data_, wanted);
        if (moved == nullptr) throw std::bad_alloc{};
        if (borrowed_ && size_ != 0) std::memcpy(moved, data_, size_);
        borrowed_ = false;
        data_ = static_cast<std::byte*>(moved);
        capacity_ = wanted;
        return;
    }
    byte_buffer larger;
    larger.data_ = take_large(wanted);
    larger.capacity_ = wanted;
    larger.append(data_, size_);
    swap(larger);
}

void byte_buffer::drop_front(std::size_t count) noexcept {
    count = std::min(count, size_);
    if (count == 0) return;
    size_ -= count;
    std::memmove(data_, data_ + count, size_);
}

void byte_reader::expect(std::uint64_t count, std::size_t size) const {
    if (size != 0 && count > remaining() / size)
        throw std::length_error{
            "plait: a length in a serialised value exceeds what follows: " + std::to_string(count) +
            " elements of " + std::to_string(size) + " bytes in " + std::to_string(remaining()) +
            " bytes; is load() the mirror image of save()?"};
}

void byte_reader::ended_early() {
    throw std::runtime_error{"plait: a serialised value ended early; is load() the mirror image of save()?"};
}

void buffer_writer::overflow(const std::byte* bytes, std::size_t count) {
    finish();
    begin_ = buffer_.extend(std::max(count, smallest_capacity));
    next_ = begin_;
    end_ = begin_ + std::max(count, smallest_capacity);
    std::memcpy(next_, bytes, count);
    next_ += count;
}

void buffer_writer::finish() noexcept {
    if (begin_ != nullptr) buffer_.commit(static_cast<std::size_t>(next_ - begin_));
    begin_ = next_ = end_ = nullptr;
}

void prepare_large(void* data, std::size_t size) noexcept {
    if (size >= huge_threshold) advise_huge(data, size);
}

void memory_reader::underflow(std::byte*, std::size_t) { ended_early(); }

void memory_reader::more() { ended_early(); }

} // namespace plait::detail
