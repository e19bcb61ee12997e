// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/shared_memory.hpp>

#include "sys/errors.hpp"
#include "sys/memory.hpp"

#include <plait/detail/bytes.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace plait::detail {

/// One mapping of this process.
struct shared_mapping_entry {
    shared_mapping_entry(std::uint64_t i, mapped h, shared_descriptor f, shared_mapping m) noexcept
        : id{i}, how{h}, memory{std::move(f)}, mapping{std::move(m)} {}

    const std::uint64_t id; // random, and the same wherever it is
    const mapped how;
    const shared_descriptor memory;
    const shared_mapping mapping;
    atomic<std::uint32_t> owners{1}; // 0: being removed; not to be taken any more
};

namespace {

/// What is mapped here now, so that what arrives again needs no mapping of its own.
struct mapping_table {
    std::mutex mutex;
    std::unordered_multimap<std::uint64_t, shared_mapping_entry*> entries;
};

mapping_table& table() {
    static mapping_table* const t = new mapping_table; // handles may be destroyed after any static object
    return *t;
}

shared_mapping_entry* find_locked(const mapping_table& t, std::uint64_t id, mapped how) noexcept {
    const auto [first, last] = t.entries.equal_range(id);
    for (auto e = first; e != last; ++e) {
        if (e->second->how != how) continue;
        std::uint32_t owners = e->second->owners.load(order::relaxed);
        // relaxed: the table's lock has shown us the entry whole.
        while (owners != 0)
            if (e->second->owners.compare_exchange(owners, owners + 1, order::relaxed, order::relaxed))
                return e->second;
    }
    return nullptr;
}

shared_mapping_entry* enter(std::uint64_t id, mapped how, shared_descriptor memory, shared_mapping mapping) {
    auto* const fresh = new shared_mapping_entry{id, how, std::move(memory), std::move(mapping)};
    try {
        const std::lock_guard guard{table().mutex};
        table().entries.emplace(id, fresh);
    } catch (...) {
        delete fresh;
        throw;
    }
    return fresh;
}

shared_mapping_entry* find_or_map(std::uint64_t id, mapped how, shared_descriptor memory, std::size_t size) {
    {
        const std::lock_guard guard{table().mutex};
        if (shared_mapping_entry* const there = find_locked(table(), id, how)) return there;
    }
    // Another thread may be faster: then there are two, which is no harm.
    shared_mapping mapping{memory.get(), size, how};
    return enter(id, how, std::move(memory), std::move(mapping));
}

std::uint64_t new_id() {
    std::uint64_t id = 0;
    while (id == 0)
        if (::getrandom(&id, sizeof(id), 0) != static_cast<ssize_t>(sizeof(id)) && errno != EINTR)
            throw_errno("shared_array: getrandom");
    return id;
}

std::string attempt(std::size_t size) {
    return "shared_array: cannot make " + std::to_string(size) + " bytes";
}

// Asking costs some 100 us.
constexpr std::size_t worth_asking = std::size_t{1} << 20;

// What would end in a signal instead of an error has to be asked before.
void check_room(std::size_t size) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur)
        throw_errno(EFBIG, attempt(size) + ": RLIMIT_FSIZE is " + std::to_string(limit.rlim_cur) +
                               "; raise ulimit -f");
    if (size < worth_asking) return;
    const std::uint64_t room = memory_room();
    if (size > room)
        throw_errno(ENOMEM, attempt(size) + ": only " + std::to_string(room) +
                                " are available on this machine or in this container (memory.max)");
}

/// Does the kernel give pages of 2 MiB to shared memory where it is asked for them? Where it always does, or
/// never, asking is of no use.
bool huge_on_request() {
    std::ifstream file{"/sys/kernel/mm/transparent_hugepage/shmem_enabled"};
    std::string line;
    return std::getline(file, line) && line.find("[advise]") != std::string::npos;
}

// They come only by way of a mapping that has asked. What is refused comes by fallocate.
void populate_huge(const shared_mapping& mapping) noexcept {
#if defined(MADV_POPULATE_WRITE)
    if (::madvise(mapping.data(), mapping.size(), MADV_HUGEPAGE) == 0)
        ::madvise(mapping.data(), mapping.size(), MADV_POPULATE_WRITE);
#else
    ::madvise(mapping.data(), mapping.size(), MADV_HUGEPAGE);
#endif
}

} // namespace

shared_memory::shared_memory(shared_mapping_entry* e) noexcept
    : entry_{e}, data_{e->mapping.data()}, size_{e->mapping.size()} {}

shared_memory::shared_memory(const shared_memory& other) noexcept
    : entry_{other.entry_}, data_{other.data_}, size_{other.size_} {
    if (entry_ != nullptr) entry_->owners.fetch_add(1, order::relaxed); // who copies a handle has one
}

shared_memory::~shared_memory() {
    // acq_rel: the last one unmaps after what the others have done with it.
    if (entry_ == nullptr || entry_->owners.fetch_sub(1, order::acq_rel) != 1) return;
    {
        mapping_table& t = table();
        const std::lock_guard guard{t.mutex};
        const auto [first, last] = t.entries.equal_range(entry_->id);
        for (auto e = first; e != last; ++e)
            if (e->second == entry_) {
                t.entries.erase(e);
                break;
            }
    }
    delete entry_;
}

shared_memory shared_memory::make(std::size_t count, std::size_t element, bool huge_pages) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / element)
        throw std::length_error{"shared_array: " + std::to_string(count) + " elements of " +
                                std::to_string(element) + " bytes are more than memory can have"};
    const std::size_t size = count * element;
    if (size == 0) return {};
    check_room(size);
    unique_fd memory = make_sealed_memory("plait-array", size);
    shared_mapping mapping{memory, size};
    if (huge_pages && huge_on_request()) populate_huge(mapping);
    reserve_memory(memory.get(), size);
    return shared_memory{
        enter(new_id(), mapped::writable, shared_descriptor{memory.release()}, std::move(mapping))};
}

shared_memory shared_memory::read_only() const {
    if (entry_ == nullptr) return {};
    return shared_memory{find_or_map(entry_->id, mapped::read_only, entry_->memory, size())};
}

std::uint64_t shared_memory::id() const noexcept { return entry_ != nullptr ? entry_->id : 0; }
std::size_t shared_memory::use_count() const noexcept {
    return entry_ != nullptr ? entry_->owners.load(order::relaxed)
                             : 0; // a number, and nothing follows from it
}

void shared_memory::save(byte_writer& out, std::size_t element) const {
    out.put(id());
    if (entry_ == nullptr) return;
    out.put(static_cast<std::uint64_t>(size()));
    out.put(static_cast<std::uint64_t>(element));
    put_descriptor(out, entry_->memory);
}

shared_memory shared_memory::load(byte_reader& in, std::size_t element, bool read_only) {
    const auto id = in.take<std::uint64_t>();
    if (id == 0) return {};
    const auto size = in.take<std::uint64_t>();
    const auto element_there = in.take<std::uint64_t>();
    shared_descriptor memory = take_descriptor(in);
    struct stat file{};
    // Whoever sent it may have been damaged: what is mapped beyond the end of a file is a SIGBUS later.
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    if (element_there != element || size == 0 || size % element != 0 || seals < 0 ||
        (seals & F_SEAL_SHRINK) == 0 || ::fstat(memory.get(), &file) != 0 ||
        static_cast<std::uint64_t>(file.st_size) < size)
        throw std::runtime_error{"shared_array: what was received is none, or one of another element type"};
    return shared_memory{find_or_map(id, read_only ? mapped::read_only : mapped::writable, std::move(memory),
                                     static_cast<std::size_t>(size))};
}

void shared_memory::throw_out_of_range(std::size_t index, std::size_t size) {
    throw std::out_of_range{"shared_array: at(" + std::to_string(index) + ") of " + std::to_string(size) +
                            " elements"};
}

} // namespace plait::detail
