// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/blocking.hpp"
#include "process/packet.hpp"

#include <plait/detail/descriptor_wait.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

namespace plait::detail {

// Waiting for something that can be tried, and that descriptors tell of: by a thread, and by a task. Both try
// again after every event, and every `again` without one.

inline constexpr std::chrono::milliseconds only_when_told{0};

inline std::vector<pollfd> readable(const std::vector<shared_descriptor>& bells) {
    std::vector<pollfd> entries;
    entries.reserve(bells.size());
    for (const shared_descriptor& b : bells) entries.push_back({b.get(), POLLIN, 0});
    return entries;
}

inline std::vector<awaited_descriptor> to_read(const std::vector<shared_descriptor>& bells) {
    std::vector<awaited_descriptor> all;
    all.reserve(bells.size());
    for (const shared_descriptor& b : bells) all.push_back({b.get(), false});
    return all;
}

/// False: the deadline has passed.
template <class Try>
bool wait_in_thread(Try try_it, const std::vector<shared_descriptor>& bells, const char* what,
                    const char* instead, time_point deadline,
                    std::chrono::milliseconds again = only_when_told) {
    refuse_to_block(what, instead);
    for (;;) {
        if (try_it()) return true;
        const time_point now = std::chrono::steady_clock::now();
        if (now >= deadline) return false;
        std::vector<pollfd> entries = readable(bells);
        poll_until(entries, again == only_when_told ? deadline : std::min(deadline, now + again));
    }
}

inline task<void> until_told(std::vector<awaited_descriptor> bells, const char* what) {
    co_await descriptor_wait{bells, what};
}

template <class Try>
task<void> wait_suspended(Try try_it, std::vector<shared_descriptor> bells, const char* what,
                          std::chrono::milliseconds again = only_when_told) {
    if (!may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    const std::vector<awaited_descriptor> awaited = to_read(bells);
    while (!try_it()) {
        if (again == only_when_told) {
            co_await descriptor_wait{awaited, what};
            continue;
        }
        try {
            co_await plait::timeout(again, until_told(awaited, what));
        } catch (const timeout_error&) {
            continue;
        }
    }
}

} // namespace plait::detail
