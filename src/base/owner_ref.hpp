// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace plait::detail {

/// One owner's share of something that counts its owners: gives it up at the end.
template <class T>
class owner_ref {
  public:
    explicit owner_ref(T* t) noexcept : owned_{t} {}
    owner_ref(owner_ref&& other) noexcept : owned_{std::exchange(other.owned_, nullptr)} {}
    owner_ref& operator=(owner_ref&&) = delete;
    ~owner_ref() {
        if (owned_) owned_->release_owner();
    }
    T* operator->() const noexcept { return owned_; }
    T& operator*() const noexcept { return *owned_; }

  private:
    T* owned_;
};

} // namespace plait::detail
