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

namespace {
constinit block_lists no_lists{}; // only read
}
constinit thread_local block_lists* blocks_here [[gnu::tls_model("initial-exec")]] = &no_lists;

#if defined(PLAIT_PLAIN_FRAMES)

// Under ASan a recycled frame would hide every use after free: the plain heap finds them.
void* allocate_slowly(std::size_t size) { return ::operator new(size); }
void free_slowly(void* block, std::size_t size) noexcept { ::operator delete(block, size); }

#else

namespace {

constexpr std::size_t granule = block_lists::granule;
constexpr std::size_t classes = block_lists::classes;
static_assert(granule == block_regions::granule && classes == block_regions::classes);
constexpr std::size_t depot_bytes = 32 * 1024 * 1024; // kept of all classes; the rest goes back

constexpr std::size_t bytes_of(std::size_t c) noexcept { return (c + 1) * granule; }

// Free blocks of one class. The list is not in the blocks: a thread that takes one that another thread has
// freed would wait for its line. Few, so that blocks come round while they are still in the processor's
// cache.
struct magazine {
    static constexpr std::size_t room = 62;
    magazine* next = nullptr; // in the depot
    std::size_t count = 0;
    std::array<void*, room> blocks;
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

constinit thread_local bool cache_gone = false;

// What a thread has: one magazine of each class in its lists, and a spare one. Both may be missing. Whoever takes
// and frees in turns thus stays off the depot.
class cache : public block_lists {
  public:
    cache() noexcept = default;
    cache(const cache&) = delete;
    cache& operator=(const cache&) = delete;
    ~cache() {
        blocks_here = &no_lists;
        cache_gone = true;
        for (std::size_t c = 0; c < classes; ++c)
            for (magazine* const m : {unload(c), spare_[c]})
                if (m && !(m->count != 0 && the_depot().put(c, *m))) {
                    the_depot().unload(*m);
                    the_depot().put_empty(*m);
                }
    }

    // Its list is empty.
    void* allocate(std::size_t c) {
        magazine* m = std::exchange(spare_[c], unload(c));
        if (!m || m->count == 0) {
            magazine* const more = the_depot().take(c, m);
            if (!more) {
                load(c, m);
                return ::operator new(bytes_of(c));
            }
            m = more;
        }
        load(c, m);
        return *--of[c].top;
    }
    // Its list is full.
    void free(std::size_t c, void* block) noexcept {
        magazine* m = std::exchange(spare_[c], unload(c));
        if (m && m->count == magazine::room) {
            if (the_depot().put(c, *m))
                m = nullptr;
            else
                the_depot().unload(*m);
        }
        if (!m) m = the_depot().take_empty();
        if (!m) m = new (std::nothrow) magazine;
        load(c, m);
        if (!m) return the_depot().give(block);
        *of[c].top++ = block;
    }

  private:
    void load(std::size_t c, magazine* m) noexcept {
        loaded_[c] = m;
        void** const first = m ? m->blocks.data() : nullptr;
        of[c] = m ? free_blocks{first + m->count, first, first + magazine::room} : free_blocks{};
    }
    magazine* unload(std::size_t c) noexcept {
        magazine* const m = std::exchange(loaded_[c], nullptr);
        if (m) m->count = static_cast<std::size_t>(of[c].top - of[c].empty);
        of[c] = {};
        return m;
    }

    std::array<magazine*, classes> loaded_{};
    std::array<magazine*, classes> spare_{};
};

// Null: the thread is at its very end. A variable that is destroyed with the thread is asked for at each use
// whether it has been made; so the quick way is through a pointer.
cache* this_cache() noexcept {
    if (cache_gone) return nullptr;
    if (calls_go_by_name()) return nullptr; // a test wants to see every allocation
    thread_local cache mine;
    blocks_here = &mine;
    return &mine;
}

} // namespace

void* allocate_slowly(std::size_t size) {
    const std::size_t c = block_lists::class_of(size);
    if (c >= classes) return ::operator new(size);
    cache* const mine = this_cache();
    if (!mine) return ::operator new(bytes_of(c));
    return mine->allocate(c);
}

void free_slowly(void* block, std::size_t size) noexcept {
    const std::size_t c = block_lists::class_of(size);
    if (c >= classes) return ::operator delete(block);
    if (cache* const mine = this_cache()) return mine->free(c, block);
    the_depot().give(block);
}

#endif

} // namespace plait::detail
