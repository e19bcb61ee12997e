// SPDX-License-Identifier: Apache-2.0
#include "sys/placement.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <pthread.h>
#include <sched.h>
#include <string_view>
#include <tuple>
#include <unistd.h>

namespace plait::detail {
namespace {

using cpu_set = std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)>;

cpu_set make_set(std::size_t size) {
    return {CPU_ALLOC(size), [](cpu_set_t* s) { CPU_FREE(s); }};
}

// "0-3,8,10-11"
std::vector<int> read_list(const std::string& path) {
    std::vector<int> all;
    std::ifstream file{path};
    for (int first = 0; file >> first;) {
        int last = first;
        if (file.peek() == '-') {
            file.get();
            if (!(file >> last)) break;
        }
        for (int n = first; n <= last && n - first < 1 << 20; ++n) all.push_back(n);
        if (file.get() != ',') break;
    }
    return all;
}

int read_number(const std::string& path, int otherwise) {
    std::ifstream file{path};
    int n = 0;
    return file >> n ? n : otherwise;
}

struct processor {
    int number;
    int node = 0;
    std::pair<int, int> core; // package and core; its own if nothing is known
    int thread = 0;           // which one of its core
    int place = 0;            // which one of its node's cores
};

std::vector<processor> layout_of(const std::vector<int>& allowed, const std::string& root) {
    std::map<int, int> node_of;
    for (const int node : read_list(root + "/node/has_cpu"))
        for (const int n : read_list(root + "/node/node" + std::to_string(node) + "/cpulist"))
            node_of[n] = node;
    std::vector<processor> all;
    for (const int n : allowed) {
        const std::string at = root + "/cpu/cpu" + std::to_string(n) + "/topology/";
        processor p{.number = n,
                    .core = {read_number(at + "physical_package_id", -1), read_number(at + "core_id", n)}};
        if (const auto found = node_of.find(n); found != node_of.end()) p.node = found->second;
        all.push_back(p);
    }
    std::sort(all.begin(), all.end(), [](const processor& a, const processor& b) {
        return std::tie(a.node, a.core, a.number) < std::tie(b.node, b.core, b.number);
    });
    for (std::size_t i = 1; i < all.size(); ++i) {
        const processor& before = all[i - 1];
        if (all[i].node != before.node) continue;
        const bool same_core = all[i].core == before.core;
        all[i].thread = same_core ? before.thread + 1 : 0;
        all[i].place = before.place + (same_core ? 0 : 1);
    }
    return all;
}

} // namespace

std::vector<int> allowed_processors() {
    std::vector<int> all;
    for (std::size_t size = 1024; size <= std::size_t{1} << 20; size *= 2) {
        const cpu_set set = make_set(size);
        const std::size_t bytes = CPU_ALLOC_SIZE(size);
        if (!set || ::sched_getaffinity(0, bytes, set.get()) != 0) continue; // the kernel's mask is larger
        for (std::size_t n = 0; n < size; ++n)
            if (CPU_ISSET_S(n, bytes, set.get())) all.push_back(static_cast<int>(n));
        break;
    }
    return all;
}

placement_plan::placement_plan(placement p, std::vector<int> chosen) {
    if (!chosen.empty())
        processors_ = std::move(chosen);
    else if (p != placement::anywhere)
        *this = placement_plan{p, allowed_processors(), "/sys/devices/system", ::sched_getcpu()};
}

placement_plan::placement_plan(placement p, const std::vector<int>& allowed, const std::string& root,
                               int here)
    : shared_{p == placement::one_node} {
    if (p == placement::anywhere) return;
    std::vector<processor> all = layout_of(allowed, root);
    if (p == placement::spread)
        std::sort(all.begin(), all.end(), [](const processor& a, const processor& b) {
            return std::tie(a.thread, a.place, a.node) < std::tie(b.thread, b.place, b.node);
        });
    if (p == placement::one_node) {
        const auto mine =
            std::find_if(all.begin(), all.end(), [&](const processor& x) { return x.number == here; });
        if (mine == all.end()) return;
        const int node = mine->node;
        std::erase_if(all, [&](const processor& x) { return x.node != node; });
    }
    for (const processor& x : all) processors_.push_back(x.number);
}

std::vector<int> placement_plan::of(unsigned n) const {
    if (shared_ || processors_.empty()) return processors_;
    return {processors_[n % processors_.size()]};
}

void placement_plan::bind(unsigned n) const noexcept {
    try {
        const std::vector<int> mine = of(n);
        if (mine.empty()) return;
        const int last = *std::max_element(mine.begin(), mine.end());
        if (last < 0) return;
        const auto size = static_cast<std::size_t>(last) + 1;
        const cpu_set set = make_set(size);
        if (!set) return;
        const std::size_t bytes = CPU_ALLOC_SIZE(size);
        CPU_ZERO_S(bytes, set.get());
        for (const int p : mine)
            if (p >= 0) CPU_SET_S(static_cast<std::size_t>(p), bytes, set.get());
        // A hint: if it fails, the thread runs anywhere.
        static_cast<void>(::pthread_setaffinity_np(::pthread_self(), bytes, set.get()));
    } catch (const std::exception&) {
        return; // no memory: anywhere
    }
}

namespace {
std::uint32_t name_by(const char* name, std::string_view suffix) noexcept {
    char text[16]; // what the kernel keeps, with its end
    const std::size_t room = sizeof text - 1 - suffix.size();
    const std::size_t kept = ::strnlen(name, room);
    std::memcpy(text, name, kept);
    suffix.copy(text + kept, suffix.size()); // an empty one has no address
    text[kept + suffix.size()] = '\0';
    ::pthread_setname_np(::pthread_self(), text);
    return static_cast<std::uint32_t>(::gettid());
}
} // namespace

std::uint32_t name_this_thread(const char* name) noexcept { return name_by(name, {}); }

std::uint32_t name_this_thread(const char* name, unsigned number) noexcept {
    std::array<char, 11> suffix{'/'};
    const auto end = std::to_chars(suffix.data() + 1, suffix.data() + suffix.size(), number).ptr;
    return name_by(name, {suffix.data(), static_cast<std::size_t>(end - suffix.data())});
}

} // namespace plait::detail
