// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// One owner's share of something that counts its owners: gives it up at the end.
template <class T>
class owner_ref {
  public:
    explicit owner_ref(T* t) noexcept : owned_{t} {}
    owner_ref(const owner_ref&) = delete;
    owner_ref& operator=(const owner_ref&) = delete;
    ~owner_ref() { owned_->release_owner(); }
    T* operator->() const noexcept { return owned_; }
    T& operator*() const noexcept { return *owned_; }

  private:
    T* owned_;
};

} // namespace plait::detail
