// SPDX-License-Identifier: Apache-2.0
#include "base/registry.hpp"

#include "sys/unique_fd.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <plait/detail/context.hpp>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The slab lies in a memfd named "plait-registry", so that another process of the same user can map it
// through /proc/PID/fd without this one's help. Chunks are only ever added; a node is either free (id 0) or
// live. A node that was never used is the kernel's zeros, which are a free one, and its page is not there yet:
// touching all of them would cost each worker process 64 page faults and 256 KiB.

namespace plait::detail {
namespace {

constexpr std::size_t chunk_nodes = 4096; // 256 KiB
constexpr std::size_t chunk_bytes = chunk_nodes * sizeof(task_node);
constexpr std::size_t batch = 256;

struct slab {
    std::mutex mutex;
    int fd = -1;
    bool asked_for_memfd = false; // by this process
    std::size_t chunks = 0;
    task_node* spare_list = nullptr; // free nodes beyond the threads' own lists, linked through `parent`
    task_node* unused = nullptr;     // of the last chunk, up to its end: never used
    task_node* unused_end = nullptr;
    std::atomic<std::uint64_t> next_id{1};
    task_node lost; // stands in when there is no memory
};

slab& the_slab() noexcept {
    alignas(slab) static unsigned char storage[sizeof(slab)];
    static slab* const instance = ::new (storage) slab;
    return *instance;
}

std::atomic<task_node*> chunk_table[max_registry_chunks];

task_node* link_of(const task_node& n) noexcept { // a free node's `parent` is its link
    return reinterpret_cast<task_node*>(n.parent.load(order::relaxed));
}
void set_link(task_node& n, task_node* next) noexcept {
    n.parent.store(reinterpret_cast<std::uint64_t>(next), order::release); // see free_task_node
}

void after_fork_in_child() noexcept;

bool add_chunk(slab& s) noexcept {
    if (s.chunks == max_registry_chunks) return false;
    if (!s.asked_for_memfd) {
        s.asked_for_memfd = true;
        const long made = ::syscall(SYS_memfd_create, "plait-registry", 1U /* MFD_CLOEXEC */);
        s.fd = above_stdio(unique_fd{static_cast<int>(made)}).release();
        static const int registered = ::pthread_atfork(nullptr, nullptr, &after_fork_in_child);
        (void)registered;
    }
    void* at = MAP_FAILED;
    const auto offset = static_cast<off_t>(s.chunks * chunk_bytes);
    if (s.fd >= 0 && ::ftruncate(s.fd, offset + static_cast<off_t>(chunk_bytes)) == 0)
        at = ::mmap(nullptr, chunk_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, offset);
    if (at == MAP_FAILED) // no memfd to be had: still a registry, but for this process alone
        at = ::mmap(nullptr, chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return false;
    auto* nodes = static_cast<task_node*>(at);
    s.unused = nodes;
    s.unused_end = nodes + chunk_nodes;
    // release: a reader that sees the pointer sees the chunk that it maps.
    chunk_table[s.chunks].store(nodes, std::memory_order_release);
    ++s.chunks;
    return true;
}

// Free nodes of one thread.
class node_cache {
  public:
    node_cache() noexcept = default;
    node_cache(const node_cache&) = delete;
    node_cache& operator=(const node_cache&) = delete;
    ~node_cache() {
        here = nullptr;
        gone = true;
        while (unused_ != unused_end_) put(*unused_++);
        give(count_);
    }

    task_node* take() noexcept {
        if (!head_) {
            if (unused_ == unused_end_ && !refill()) return nullptr;
            if (!head_) return unused_++;
        }
        task_node* n = head_;
        head_ = link_of(*n);
        --count_;
        return n;
    }
    void put(task_node& n) noexcept {
        set_link(n, head_);
        head_ = &n;
        if (++count_ >= 2 * batch) give(batch);
    }
    /// They lie in what is our parent's.
    void forget() noexcept {
        head_ = unused_ = unused_end_ = nullptr;
        count_ = 0;
    }
    std::uint64_t next_id() noexcept {
        if (id_ == id_end_) {
            id_ = the_slab().next_id.fetch_add(batch, std::memory_order_relaxed);
            id_end_ = id_ + batch;
        }
        return id_++;
    }

    // This thread's; null before its first use, and at its very end.
    static inline constinit thread_local node_cache* here = nullptr;
    static inline constinit thread_local bool gone = false;

  private:
    bool refill() noexcept {
        slab& s = the_slab();
        const std::lock_guard guard{s.mutex};
        if (!s.spare_list) {
            if (s.unused == s.unused_end && !add_chunk(s)) return false;
            unused_ = s.unused;
            unused_end_ = s.unused += std::min<std::ptrdiff_t>(batch, s.unused_end - s.unused);
            return true;
        }
        for (std::size_t i = 0; i < batch && s.spare_list; ++i) {
            task_node* n = s.spare_list;
            s.spare_list = link_of(*n);
            set_link(*n, head_);
            head_ = n;
            ++count_;
        }
        return true;
    }
    void give(std::size_t n) noexcept {
        slab& s = the_slab();
        const std::lock_guard guard{s.mutex};
        for (; n > 0 && head_; --n, --count_) {
            task_node* node = head_;
            head_ = link_of(*node);
            set_link(*node, s.spare_list);
            s.spare_list = node;
        }
    }

    task_node* head_ = nullptr;
    std::size_t count_ = 0;
    task_node* unused_ = nullptr; // its share of the slab's
    task_node* unused_end_ = nullptr;
    std::uint64_t id_ = 0;
    std::uint64_t id_end_ = 0;
};

// A forked child must not write its tasks into its parent's registry: it begins a memfd of its own with the
// next chunk, and keeps the old ones as private copies.
void after_fork_in_child() noexcept {
    slab& s = the_slab();
    ::new (&s.mutex) std::mutex;
    for (std::size_t i = 0; i < s.chunks; ++i) {
        task_node* chunk = chunk_table[i].load(std::memory_order_relaxed);
        if (::mmap(chunk, chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1,
                   0) == MAP_FAILED)
            std::abort(); // going on would wipe the parent's
    }
    s.spare_list = s.unused = s.unused_end = nullptr;
    if (node_cache* const cache = node_cache::here) cache->forget();
    if (s.fd >= 0) ::close(s.fd);
    s.fd = -1;
    s.asked_for_memfd = false;
}

// Null: the thread is at its very end. By a pointer, as in frame.cpp.
[[gnu::noinline]] node_cache* make_cache() noexcept {
    if (node_cache::gone) return nullptr;
    thread_local node_cache mine;
    return node_cache::here = &mine;
}
node_cache* this_cache() noexcept {
    node_cache* const c = node_cache::here;
    return c ? c : make_cache();
}

} // namespace

task_node* registry_chunk(std::size_t index) noexcept {
    return chunk_table[index].load(std::memory_order_acquire);
}
std::size_t registry_chunk_nodes() noexcept { return chunk_nodes; }

task_node& new_task_node(const char* name, std::source_location created) noexcept {
    context* const scope = task_scope();
    return new_task_node(name, created, scope ? scope->node->id.load(order::relaxed) : 0);
}

task_node& new_task_node(const char* name, std::source_location created, std::uint64_t parent) noexcept {
    const worker* const here = current().worker;
    const time_point now = here ? here->coarse_now() : coarse_clock();
    return new_task_node(name, created, parent, now.time_since_epoch().count());
}

task_node& new_task_node(const char* name, std::source_location created, std::uint64_t parent,
                         std::int64_t since) noexcept {
    node_cache* const cache = this_cache();
    task_node* const n = cache ? cache->take() : nullptr;
    if (!n) return the_slab().lost;
    // release: whoever sees one of these sees the id of the task before gone.
    n->parent.store(parent, order::release);
    n->name.store(name, order::release);
    n->awaits.store(nullptr, order::release);
    n->created = created;
    n->at = {};
    n->since.store(since, order::release);
    n->state.store(task_state::queued, order::release);
    // release: a reader that sees the id sees the node that goes with it.
    n->id.store(cache->next_id(), order::release);
    return *n;
}

void rest_task_node(task_node& n) noexcept {
    // Readers take no lock: they look at the id before and after the rest, and every store after this one is
    // a release, so that none of it can be seen with the old id on both sides.
    n.id.store(0, order::release);
    n.state.store(task_state::free, order::release);
}

void wake_task_node(task_node& n, std::source_location created, std::uint64_t parent) noexcept {
    node_cache* const cache = this_cache();
    if (!cache) return;
    // As in new_task_node().
    n.parent.store(parent, order::release);
    n.awaits.store(nullptr, order::release);
    n.created = created;
    n.since.store(coarse_clock().time_since_epoch().count(), order::release);
    n.state.store(task_state::running, order::release);
    n.id.store(cache->next_id(), order::release);
}

void free_task_node(task_node& n) noexcept {
    slab& s = the_slab();
    if (&n == &s.lost) return;
    rest_task_node(n);
    if (node_cache* const cache = this_cache()) return cache->put(n);
    const std::lock_guard guard{s.mutex};
    set_link(n, s.spare_list);
    s.spare_list = &n;
}

} // namespace plait::detail
