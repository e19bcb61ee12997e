// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 1 is or contains a class that nobody can look into; give it a serialize() member, or vouch for it by plait::trivially_sendable<T> = true
// clang-format on
#include <plait/process_pool.hpp>

#include <memory>
#include <mutex>
int take(const std::unique_ptr<std::mutex>&);

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(take, std::make_unique<std::mutex>());
#endif
}
