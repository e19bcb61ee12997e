// SPDX-License-Identifier: Apache-2.0
#include "strand/loop_engine.hpp"

#include <mutex>

namespace plait::detail {
namespace {

std::mutex keeper_mutex;
loop_engine* keeper = nullptr; // guarded by keeper_mutex
std::size_t users = 0;         // guarded by keeper_mutex

} // namespace

worker& acquire_shared_keeper() {
    const std::lock_guard guard{keeper_mutex};
    if (!keeper) {
        auto* fresh = new loop_engine{"keeper", "plait-keeper", {}};
        try {
            fresh->start_thread();
        } catch (...) {
            fresh->release_owner();
            throw;
        }
        keeper = fresh;
    }
    ++users;
    return *keeper;
}

void release_shared_keeper() noexcept {
    const std::lock_guard guard{keeper_mutex};
    if (--users != 0) return;
    // Nobody else can have work for it: whoever posts here holds a share.
    keeper->stop();
    keeper->join();
    keeper->release_owner();
    keeper = nullptr;
}

} // namespace plait::detail
