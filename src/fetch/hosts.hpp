// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace plait::fetch {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

/// Which item may be asked next, so that no host gets more than its share and none holds up another.
///
/// A queue per host (scheme, host and port). Hosts that have something to ask, a free place and no order to
/// wait stand in a ring; taking the next item takes its host's turn. All steps are O(1), but for items that
/// wait for a time of their own (a heap of those). The clock is passed in.
///
/// Threads:  one at a time.
class host_queue {
  public:
    using item_id = std::uint32_t;

    /// 0 = no limit.
    host_queue(std::size_t total_limit, std::size_t host_limit);

    /// Queues an item at the end of its host's line.
    void push(std::string_view origin, item_id item);
    /// The same, but not before `when`.
    void push_at(std::string_view origin, item_id item, time_point when);

    /// An item that may be asked now; it counts as in flight until finished() is called.
    [[nodiscard]] std::optional<item_id> next(time_point now);
    /// The item that next() gave has ended, whichever way.
    void finished(item_id item);
    /// No item of this host before `when`. The item must be in flight.
    void close_host_of(item_id item, time_point when);

    /// When next() may have something new although nothing ends: the earliest of all waits.
    [[nodiscard]] std::optional<time_point> wake_time() const;

    /// Takes out whatever waits, in no particular order: nothing else will be asked.
    [[nodiscard]] std::vector<item_id> drain();

    /// next() would give something, as far as the present is concerned.
    [[nodiscard]] bool has_ready() const noexcept {
        return !ring_.empty() && (total_limit_ == 0 || in_flight_ < total_limit_);
    }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
    /// Hosts that were told to wait and have something to ask.
    [[nodiscard]] std::size_t closed_hosts() const noexcept { return closed_; }
    [[nodiscard]] std::size_t known_hosts() const noexcept { return by_origin_.size(); }

  private:
    static constexpr std::uint32_t none = 0xffffffffU;
    enum class place : std::uint8_t { idle, ring, full, closed };

    struct host {
        std::string origin;
        std::uint32_t first = none; // the line, linked through next_in_line_
        std::uint32_t last = none;
        std::uint32_t in_flight = 0;
        std::uint32_t delayed = 0; // items of this host in the heap
        place where = place::idle;
        time_point open_at{};
    };
    struct wait {
        time_point when;
        std::uint64_t sequence;
        std::uint32_t id; // an item, or a host if `is_host`
        bool is_host;
        bool operator<(const wait& other) const noexcept {
            return when != other.when ? when > other.when : sequence > other.sequence;
        }
    };

    [[nodiscard]] std::uint32_t intern(std::string_view origin);
    void link(std::uint32_t host_id, item_id item);
    void settle(std::uint32_t host_id);
    void release_if_idle(std::uint32_t host_id);
    void let_due_ones_in(time_point now);
    [[nodiscard]] bool has_place(const host& h) const noexcept {
        return host_limit_ == 0 || h.in_flight < host_limit_;
    }

    std::size_t total_limit_;
    std::size_t host_limit_;
    std::unordered_map<std::string, std::uint32_t> by_origin_;
    std::vector<host> hosts_;
    std::vector<std::uint32_t> free_hosts_;
    std::vector<std::uint32_t> next_in_line_; // by item
    std::vector<std::uint32_t> host_of_;      // by item
    std::deque<std::uint32_t> ring_;
    std::priority_queue<wait> waits_;
    std::uint64_t sequence_ = 0;
    std::size_t waiting_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t closed_ = 0;
};

} // namespace plait::fetch
