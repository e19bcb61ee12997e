// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/processors.hpp>
#include <string>
#include <vector>

namespace plait::detail {

/// The tightest CPU quota, in processors, of the cgroup v2 that `membership` (/proc/self/cgroup) names and of
/// those around it, below `root` (/sys/fs/cgroup); 0: none.
std::size_t cgroup_quota(const std::string& membership, const std::string& root);

/// The processors in the calling thread's affinity mask; empty if it cannot be read.
std::vector<int> allowed_processors();

/// Where each worker of a pool is to run.
class placement_plan {
  public:
    placement_plan() = default;
    /// `chosen`: processors to take in this order, instead of what `p` says. `root`: where the machine's
    /// layout is (/sys/devices/system), and `here` the processor on which this runs.
    placement_plan(placement p, std::vector<int> chosen);
    placement_plan(placement p, const std::vector<int>& allowed, const std::string& root, int here);

    bool anywhere() const noexcept { return processors_.empty(); }
    /// What worker `n` may run on.
    std::vector<int> of(unsigned n) const;
    /// Binds the calling thread, worker `n`, if that can be done.
    void bind(unsigned n) const noexcept;

  private:
    std::vector<int> processors_;
    bool shared_ = false; // all of them for each worker
};

/// As much of the name as the kernel keeps, 15 characters. Gives the kernel's number of the thread.
std::uint32_t name_this_thread(const char* name) noexcept;
/// "NAME/3", with as much of the name as there is room for.
std::uint32_t name_this_thread(const char* name, unsigned number) noexcept;

} // namespace plait::detail
