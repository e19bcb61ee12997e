// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <plait/detail/bytes.hpp>
#include <utility>

namespace plait::detail {

struct shared_mapping_entry;

/// Memory of its own, shared by processes: a sealed memfd that is mapped once per process and kind (to write,
/// to read), however often it arrives. A counted reference to that mapping; empty for no bytes.
class [[gnu::visibility("default")]] shared_memory {
  public:
    shared_memory() noexcept = default;
    shared_memory(const shared_memory& other) noexcept;
    shared_memory(shared_memory&& other) noexcept
        : entry_{std::exchange(other.entry_, nullptr)},
          data_{std::exchange(other.data_, nullptr)},
          size_{std::exchange(other.size_, 0)} {}
    shared_memory& operator=(shared_memory other) noexcept {
        std::swap(entry_, other.entry_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~shared_memory();

    /// Zeroed, and all of it there. Throws length_error, bad_alloc, system_error.
    static shared_memory make(std::size_t count, std::size_t element, bool huge_pages);
    shared_memory read_only() const;

    void* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::uint64_t id() const noexcept;
    std::size_t use_count() const noexcept;

    void save(byte_writer& out, std::size_t element) const;
    static shared_memory load(byte_reader& in, std::size_t element, bool read_only);

    [[noreturn]] static void throw_out_of_range(std::size_t index, std::size_t size);

  private:
    explicit shared_memory(shared_mapping_entry* e) noexcept;
    shared_mapping_entry* entry_ = nullptr;
    // The entry's: every access to an element goes this way.
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace plait::detail
