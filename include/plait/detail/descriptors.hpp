// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/bytes.hpp>
#include <utility>
#include <vector>

namespace plait::detail {

/// An open descriptor that several owners share; the last one closes it.
class [[gnu::visibility("default")]] shared_descriptor {
  public:
    shared_descriptor() noexcept = default;
    /// Takes over an open descriptor, also if it throws bad_alloc: then it is closed.
    explicit shared_descriptor(int owned);
    shared_descriptor(const shared_descriptor& other) noexcept : counted_{other.counted_} {
        if (counted_ != nullptr) counted_->owners.fetch_add(1, order::relaxed);
    }
    shared_descriptor(shared_descriptor&& other) noexcept
        : counted_{std::exchange(other.counted_, nullptr)} {}
    shared_descriptor& operator=(shared_descriptor other) noexcept {
        std::swap(counted_, other.counted_);
        return *this;
    }
    ~shared_descriptor() {
        // acq_rel: the last one closes it after what the others have done with it.
        if (counted_ != nullptr && counted_->owners.fetch_sub(1, order::acq_rel) == 1) close_last();
    }

    int get() const noexcept { return counted_ != nullptr ? counted_->fd : -1; }
    explicit operator bool() const noexcept { return counted_ != nullptr; }
    bool operator==(const shared_descriptor& other) const noexcept { return counted_ == other.counted_; }

  private:
    struct counted {
        atomic<std::uint32_t> owners{1};
        int fd = -1;
    };
    void close_last() noexcept;
    counted* counted_ = nullptr;
};

/// The descriptors that an encoded value mentions, by position. An empty one is a hole: the receiver may not
/// have more open files.
struct descriptor_list {
    std::vector<shared_descriptor> all;
};

/// A handle mentions its descriptor: it goes to the list of whoever writes. Throws logic_error where only
/// bytes travel.
[[gnu::visibility("default")]] void put_descriptor(byte_writer& out, const shared_descriptor& descriptor);
/// The other side. Throws system_error (EMFILE) for a hole, runtime_error for what cannot be.
[[gnu::visibility("default")]] shared_descriptor take_descriptor(byte_reader& in);

} // namespace plait::detail
