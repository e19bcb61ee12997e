// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/bytes.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

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

} // namespace

void byte_buffer::free_memory() noexcept { std::free(data_); }

void byte_buffer::grow(std::size_t more) {
    if (more > static_cast<std::size_t>(PTRDIFF_MAX) - size_) throw std::bad_alloc{};
    const std::size_t wanted = std::max({smallest_capacity, size_ + more, capacity_ + capacity_ / 2});
    void* moved = std::realloc(borrowed_ ? nullptr : data_, wanted);
    if (moved == nullptr) throw std::bad_alloc{};
    if (borrowed_ && size_ != 0) std::memcpy(moved, data_, size_);
    borrowed_ = false;
    if (wanted >= huge_threshold) advise_huge(moved, wanted);
    data_ = static_cast<std::byte*>(moved);
    capacity_ = wanted;
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

} // namespace plait::detail
