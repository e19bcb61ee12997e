// SPDX-License-Identifier: Apache-2.0
#include "sys/placement.hpp"

#include <algorithm>
#include <fstream>
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

} // namespace

std::size_t detail::cgroup_quota(const std::string& membership, const std::string& root) {
    std::ifstream file{membership};
    std::string line;
    std::size_t least = 0;
    while (std::getline(file, line)) {
        if (line.rfind("0::", 0) != 0) continue;
        for (std::string path = line.substr(3);;) {
            const std::size_t q = quota_in(root + path);
            if (q != 0) least = least == 0 ? q : std::min(least, q);
            const auto slash = path.find_last_of('/');
            if (path.empty() || slash == std::string::npos) break;
            path.resize(slash);
        }
    }
    return least;
}

std::size_t available_processors() noexcept {
    try {
        std::size_t n = detail::allowed_processors().size();
        if (n == 0) n = std::max(1U, std::thread::hardware_concurrency());
        if (const std::size_t quota = detail::cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup"))
            n = std::min(n, quota);
        return n;
    } catch (...) {
        return 1; // no memory even to look
    }
}

} // namespace plait
