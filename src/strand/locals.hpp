// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace plait::detail {

/// One worker's `worker_local`s. Used by its own thread alone.
class locals {
  public:
    locals() = default;
    locals(const locals&) = delete;
    locals& operator=(const locals&) = delete;
    ~locals() { clear(); }

    void* find(std::uint64_t key) const noexcept {
        for (const entry& e : entries_)
            if (e.key == key) return e.value;
        return nullptr;
    }
    void add(std::uint64_t key, void* value, void (*destroy)(void*) noexcept) {
        entries_.push_back({key, value, destroy});
    }
    /// Destroys them, the last one made first; a destructor may make new ones.
    void clear() noexcept {
        while (!entries_.empty()) {
            const entry e = entries_.back();
            entries_.pop_back();
            e.destroy(e.value);
        }
    }

  private:
    struct entry {
        std::uint64_t key;
        void* value;
        void (*destroy)(void*) noexcept;
    };
    std::vector<entry> entries_;
};

} // namespace plait::detail
