// SPDX-License-Identifier: Apache-2.0
#include <plait/worker_local.hpp>

#include "strand/locals.hpp"

#include <atomic>

namespace plait::detail {
namespace {

// Of threads that are no worker's.
[[gnu::noinline]] locals& thread_locals() noexcept {
    thread_local locals mine;
    return mine;
}

locals& here() noexcept {
    locals* const of_worker = current().locals;
    return of_worker ? *of_worker : thread_locals();
}

} // namespace

std::uint64_t new_local_key() noexcept {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
}

void* find_local(std::uint64_t key) noexcept { return here().find(key); }
void add_local(std::uint64_t key, void* value, void (*destroy)(void*) noexcept) {
    here().add(key, value, destroy);
}

} // namespace plait::detail
