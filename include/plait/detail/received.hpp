// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

namespace plait {

/// How a send that does not wait for ever has ended.
enum class send_status : unsigned char {
    sent,
    full,  ///< and the item is still the caller's
    closed ///< as well
};

/// What a receive that does not wait for ever has brought: an item, or why there is none.
template <class T>
class [[nodiscard]] received {
  public:
    received() = default;
    received(std::optional<T>&& item, bool closed) noexcept : item_{std::move(item)}, closed_{closed} {}

    explicit operator bool() const noexcept { return item_.has_value(); }
    T& operator*() & noexcept { return *item_; }
    T&& operator*() && noexcept { return std::move(*item_); }
    T* operator->() noexcept { return &*item_; }

    /// Closed, and all that was sent has been received.
    bool closed() const noexcept { return closed_; }

  private:
    std::optional<T> item_;
    bool closed_ = false;
};

} // namespace plait
