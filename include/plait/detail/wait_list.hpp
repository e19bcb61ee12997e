// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

namespace plait::detail {

/// A place in a `wait_list`.
class wait_entry {
  public:
    bool waits() const noexcept { return waits_; }

  protected:
    wait_entry() = default;
    wait_entry(const wait_entry&) = delete;
    wait_entry& operator=(const wait_entry&) = delete;
    ~wait_entry() = default;

  private:
    template <class Entry>
    friend class wait_list;
    wait_entry* previous_ = nullptr;
    wait_entry* next_ = nullptr;
    bool waits_ = false;
};

/// Those who wait at one structure, in the order in which they came. Intrusive, so that waiting allocates
/// nothing; everything under the structure's lock.
template <class Entry>
class wait_list {
  public:
    bool empty() const noexcept { return first_ == nullptr; }
    Entry* front() const noexcept { return static_cast<Entry*>(first_); }

    void push_back(Entry& e) noexcept {
        wait_entry& w = e;
        w.previous_ = last_;
        w.next_ = nullptr;
        w.waits_ = true;
        (last_ ? last_->next_ : first_) = &w;
        last_ = &w;
    }
    void remove(Entry& e) noexcept {
        wait_entry& w = e;
        (w.previous_ ? w.previous_->next_ : first_) = w.next_;
        (w.next_ ? w.next_->previous_ : last_) = w.previous_;
        w.waits_ = false;
    }
    Entry* pop_front() noexcept {
        Entry* const e = front();
        if (e) remove(*e);
        return e;
    }

  private:
    wait_entry* first_ = nullptr;
    wait_entry* last_ = nullptr;
};

/// What was woken under a lock, to be posted outside of it, in order: once it is posted it may be gone.
template <class Entry>
class woken_list {
  public:
    void push(Entry& e) noexcept {
        e.next_woken = nullptr;
        (last_ ? last_->next_woken : first_) = &e;
        last_ = &e;
    }
    template <class Wake>
    void wake_all(Wake wake) noexcept {
        for (Entry* e = std::exchange(first_, nullptr); e;) {
            Entry* const next = e->next_woken;
            wake(*e);
            e = next;
        }
        last_ = nullptr;
    }

  private:
    Entry* first_ = nullptr;
    Entry* last_ = nullptr;
};

} // namespace plait::detail
