// SPDX-License-Identifier: Apache-2.0
#include <plait/processors.hpp>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sched.h>
#include <string>
#include <thread>

namespace plait {
namespace {

// Processors' worth of quota in one cgroup v2 directory; 0: none, or it may not be read.
std::size_t quota_in(const std::string& directory) {
    std::ifstream file{directory + "/cpu.max"};
    std::string quota;
    unsigned long long period = 0;
    if (!(file >> quota >> period) || quota == "max" || period == 0) return 0;
    try {
        const unsigned long long q = std::stoull(quota);
        return std::max<std::size_t>(1, (q + period - 1) / period);
    } catch (const std::exception&) {
        return 0; // not a number: a format that we do not know
    }
}

// The tightest quota from this process's cgroup up to the root.
std::size_t cgroup_quota() {
    std::ifstream file{"/proc/self/cgroup"};
    std::string line;
    std::size_t least = 0;
    while (std::getline(file, line)) {
        if (line.rfind("0::", 0) != 0) continue;
        for (std::string path = line.substr(3);;) {
            const std::size_t q = quota_in("/sys/fs/cgroup" + path);
            if (q != 0) least = least == 0 ? q : std::min(least, q);
            const auto slash = path.find_last_of('/');
            if (path.empty() || slash == std::string::npos) break;
            path.resize(slash);
        }
    }
    return least;
}

std::size_t affinity_count() {
    for (int size = 1024; size <= 1 << 20; size *= 2) {
        const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{CPU_ALLOC(static_cast<std::size_t>(size)),
                                                                   [](cpu_set_t* s) { CPU_FREE(s); }};
        const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(size));
        if (set && ::sched_getaffinity(0, bytes, set.get()) == 0)
            return static_cast<std::size_t>(CPU_COUNT_S(bytes, set.get()));
    }
    return std::thread::hardware_concurrency();
}

} // namespace

std::size_t available_processors() noexcept {
    try {
        std::size_t n = std::max<std::size_t>(1, affinity_count());
        if (const std::size_t quota = cgroup_quota()) n = std::min(n, quota);
        return n;
    } catch (...) {
        return 1; // no memory even to look
    }
}

} // namespace plait
