// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/frame.hpp>

#include "base/block_regions.hpp"
#include "sys/direct_call.hpp"

#include <array>
#include <mutex>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define PLAIT_PLAIN_FRAMES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIT_PLAIN_FRAMES 1
#endif
#endif

namespace plait::detail {

#if defined(PLAIT_PLAIN_FRAMES)

// Under ASan a recycled frame would hide every use after free: the plain heap finds them.
void* allocate_block(std::size_t size) { return ::operator new(size); }
void free_block(void* block, std::size_t size) noexcept { ::operator delete(block, size); }

#else

namespace {

constexpr std::size_t granule = block_regions::granule;
constexpr std::size_t classes = block_regions::classes; // up to 2 KiB
constexpr std::size_t depot_bytes = 32 * 1024 * 1024;   // kept of all classes; the rest goes back

constexpr std::size_t bytes_of(std::size_t c) noexcept { return (c + 1) * granule; }

// Free blocks of one class. The list is not in the blocks: a thread that takes one that another thread has
// freed would wait for its line. Few, so that blocks come round while they are still in the processor's
// cache.
struct magazine {
    static constexpr std::size_t room = 62;
    magazine* next = nullptr; // in the depot
    std::size_t count = 0;
    std::array<void*, room> blocks;

    void* take() noexcept { return blocks[--count]; }
    void put(void* block) noexcept { blocks[count++] = block; }
};

// Magazines that some thread had too many of. Locked once or twice for all the blocks of one.
class depot {
  public:
    bool put(std::size_t c, magazine& m) noexcept {
        const std::lock_guard guard{mutex_};
        if (held_bytes_ + magazine::room * bytes_of(c) > depot_bytes) return false;
        held_bytes_ += magazine::room * bytes_of(c);
        push(full_[c], m);
        return true;
    }
    /// With blocks in it. `empty`: one that may be filled, or null. Null: there are none to be had, or no
    /// magazine for them; `empty` is the caller's still.
    magazine* take(std::size_t c, magazine* empty) noexcept {
        const std::lock_guard guard{mutex_};
        if (magazine* const m = pop(full_[c])) {
            held_bytes_ -= magazine::room * bytes_of(c);
            if (empty) push(empty_, *empty);
            return m;
        }
        magazine* m = empty ? empty : pop(empty_);
        if (!m) m = new (std::nothrow) magazine;
        if (!m) return nullptr;
        m->count = regions_.take(c, m->blocks);
        if (m->count != 0) return m;
        if (m != empty) push(empty_, *m);
        return nullptr;
    }
    /// All of its blocks back to where they came from.
    void unload(magazine& m) noexcept {
        const std::lock_guard guard{mutex_};
        while (m.count != 0) give_locked(m.blocks[--m.count]);
    }
    void give(void* block) noexcept {
        const std::lock_guard guard{mutex_};
        give_locked(block);
    }
    void put_empty(magazine& m) noexcept {
        const std::lock_guard guard{mutex_};
        push(empty_, m);
    }
    magazine* take_empty() noexcept {
        const std::lock_guard guard{mutex_};
        return pop(empty_);
    }

  private:
    static void push(magazine*& list, magazine& m) noexcept {
        m.next = list;
        list = &m;
    }
    static magazine* pop(magazine*& list) noexcept {
        magazine* const m = list;
        if (m) list = m->next;
        return m;
    }

    void give_locked(void* block) noexcept {
        if (regions_.owns(block))
            regions_.give(block);
        else
            ::operator delete(block);
    }

    std::mutex mutex_;
    block_regions regions_;
    magazine* empty_ = nullptr;
    std::array<magazine*, classes> full_{};
    std::size_t held_bytes_ = 0; // as if every magazine were full
};

// Never destroyed: threads give their lists back while the program's statics go.
depot& the_depot() noexcept {
    alignas(depot) static unsigned char storage[sizeof(depot)];
    static depot* const instance = ::new (storage) depot;
    return *instance;
}

class cache;
// This thread's; null before its first use, and at its very end. initial-exec: see base/execution.hpp.
constinit thread_local cache* cache_here [[gnu::tls_model("initial-exec")]] = nullptr;
constinit thread_local bool cache_gone = false;

class cache {
  public:
    cache() noexcept = default;
    cache(const cache&) = delete;
    cache& operator=(const cache&) = delete;
    ~cache() {
        cache_here = nullptr;
        cache_gone = true;
        for (std::size_t c = 0; c < classes; ++c)
            for (magazine* const m : {loaded_[c], spare_[c]})
                if (m && !(m->count != 0 && the_depot().put(c, *m))) {
                    the_depot().unload(*m);
                    the_depot().put_empty(*m);
                }
    }

    // With blocks in it, or null.
    magazine* any(std::size_t c) noexcept {
        magazine* const m = loaded_[c];
        return m && m->count != 0 ? m : nullptr;
    }
    // With room, or null.
    magazine* not_full(std::size_t c) noexcept {
        magazine* const m = loaded_[c];
        return m && m->count != magazine::room ? m : nullptr;
    }

    void* allocate(std::size_t c) {
        if (!any(c) && !reload(c)) return ::operator new(bytes_of(c));
        return loaded_[c]->take();
    }
    void free(std::size_t c, void* block) noexcept {
        if (!not_full(c) && !make_room(c)) return the_depot().give(block);
        loaded_[c]->put(block);
    }

  private:
    // Blocks into loaded_[c]; false: there are none to be had.
    [[gnu::noinline]] bool reload(std::size_t c) noexcept {
        std::swap(loaded_[c], spare_[c]);
        if (loaded_[c] && loaded_[c]->count != 0) return true;
        magazine* const m = the_depot().take(c, loaded_[c]);
        if (!m) return false;
        loaded_[c] = m;
        return true;
    }

    // Room for a block in loaded_[c]; false: no memory for a magazine.
    [[gnu::noinline]] bool make_room(std::size_t c) noexcept {
        std::swap(loaded_[c], spare_[c]);
        if (loaded_[c] && loaded_[c]->count != magazine::room) return true;
        if (loaded_[c] && !the_depot().put(c, *loaded_[c])) {
            the_depot().unload(*loaded_[c]);
            return true;
        }
        loaded_[c] = the_depot().take_empty();
        if (!loaded_[c]) loaded_[c] = new (std::nothrow) magazine;
        return loaded_[c] != nullptr;
    }

    // Two of each class, each of which may be missing: whoever takes and frees in turns stays off the depot.
    std::array<magazine*, classes> loaded_{};
    std::array<magazine*, classes> spare_{};
};

// Null: the thread is at its very end. A variable that is destroyed with the thread is asked for at each use
// whether it has been made; so the quick way is through a pointer.
[[gnu::noinline]] cache* make_cache() noexcept {
    if (cache_gone) return nullptr;
    if (calls_go_by_name()) return nullptr; // a test wants to see every allocation
    thread_local cache mine;
    return cache_here = &mine;
}
cache* this_cache() noexcept {
    cache* const c = cache_here;
    return c ? c : make_cache();
}

constexpr std::size_t class_of(std::size_t size) noexcept { return (size + granule - 1) / granule - 1; }

[[gnu::noinline]] void* allocate_slowly(std::size_t size) {
    const std::size_t c = class_of(size);
    if (c >= classes) return ::operator new(size);
    cache* const mine = this_cache();
    return mine ? mine->allocate(c) : ::operator new(bytes_of(c));
}

[[gnu::noinline]] void free_slowly(void* block, std::size_t size) noexcept {
    const std::size_t c = class_of(size);
    if (c >= classes) return ::operator delete(block);
    if (cache* const mine = this_cache()) return mine->free(c, block);
    the_depot().give(block);
}

} // namespace

// Twice for every task: the rest out of the way, so that this needs no registers of its callers'.
void* allocate_block(std::size_t size) {
    const std::size_t c = class_of(size);
    if (c < classes) [[likely]]
        if (cache* const mine = cache_here) [[likely]]
            if (magazine* const m = mine->any(c)) [[likely]]
                return m->take();
    return allocate_slowly(size);
}

void free_block(void* block, std::size_t size) noexcept {
    const std::size_t c = class_of(size);
    if (c < classes) [[likely]]
        if (cache* const mine = cache_here) [[likely]]
            if (magazine* const m = mine->not_full(c)) [[likely]]
                return m->put(block);
    free_slowly(block, size);
}

#endif

} // namespace plait::detail
