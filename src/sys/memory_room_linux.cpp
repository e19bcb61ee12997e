// SPDX-License-Identifier: Apache-2.0
#include "sys/memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

namespace plait::detail {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

/// The first number of a file; `unlimited` if there is none ("max", no such file).
std::uint64_t number_in(const std::string& path) {
    std::ifstream file{path};
    std::uint64_t number = 0;
    return file >> number ? number : unlimited;
}

/// The number behind a word that begins a line.
std::uint64_t number_after(const std::string& path, const std::string& word) {
    std::ifstream file{path};
    std::string line;
    while (std::getline(file, line))
        if (line.rfind(word, 0) == 0) {
            try {
                return std::stoull(line.substr(word.size()));
            } catch (const std::exception&) {
                return unlimited;
            }
        }
    return unlimited;
}

/// What one group still has: its limit less what it uses, file pages that can be dropped not counted.
std::uint64_t room_in(const std::string& directory, const char* limit_name, const char* used_name,
                      const char* droppable_name) {
    const std::uint64_t limit = number_in(directory + "/" + limit_name);
    const std::uint64_t used = number_in(directory + "/" + used_name);
    if (limit == unlimited || used == unlimited) return unlimited;
    std::uint64_t droppable = number_after(directory + "/memory.stat", droppable_name);
    if (droppable == unlimited) droppable = 0;
    const std::uint64_t kept = used - std::min(used, droppable);
    return limit - std::min(limit, kept);
}

/// The least of a group and those around it.
template <class Room>
std::uint64_t least_upwards(std::string path, Room room) {
    std::uint64_t least = unlimited;
    for (;;) {
        least = std::min(least, room(path));
        const auto slash = path.find_last_of('/');
        if (path.empty() || slash == std::string::npos) return least;
        path.resize(slash);
    }
}

} // namespace

std::uint64_t memory_room(const std::string& membership, const std::string& root,
                          const std::string& machine) {
    std::uint64_t least = unlimited;
    const std::uint64_t available = number_after(machine, "MemAvailable:");
    if (available != unlimited) {
        std::uint64_t swap = number_after(machine, "SwapFree:");
        if (swap == unlimited) swap = 0;
        least = (available + swap) * 1024;
    }
    std::ifstream file{membership};
    std::string line;
    while (std::getline(file, line)) {
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string path = line.substr(second + 1);
        if (controllers == ",,") {
            least = std::min(least, least_upwards(path, [&](const std::string& p) {
                                 return room_in(root + p, "memory.max", "memory.current", "inactive_file ");
                             }));
        } else if (controllers.find(",memory,") != std::string::npos) {
            const std::string mounted = root + "/memory";
            least = std::min(least, least_upwards(path, [&](const std::string& p) {
                                 return room_in(mounted + p, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                                "total_inactive_file ");
                             }));
        }
    }
    return least;
}

} // namespace plait::detail
