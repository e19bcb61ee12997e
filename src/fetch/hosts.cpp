// SPDX-License-Identifier: Apache-2.0
#include "fetch/hosts.hpp"

#include <algorithm>

namespace plait::fetch {

host_queue::host_queue(std::size_t total_limit, std::size_t host_limit)
    : total_limit_(total_limit), host_limit_(host_limit) {}

std::uint32_t host_queue::intern(std::string_view origin) {
    const std::string key{origin};
    const auto [it, is_new] = by_origin_.try_emplace(key, 0);
    if (!is_new) return it->second;
    if (free_hosts_.empty()) {
        it->second = static_cast<std::uint32_t>(hosts_.size());
        hosts_.emplace_back();
    } else {
        it->second = free_hosts_.back();
        free_hosts_.pop_back();
        hosts_[it->second] = host{};
    }
    hosts_[it->second].origin = key;
    return it->second;
}

void host_queue::link(std::uint32_t host_id, item_id item) {
    host& h = hosts_[host_id];
    next_in_line_[item] = none;
    if (h.first == none)
        h.first = item;
    else
        next_in_line_[h.last] = item;
    h.last = item;
    settle(host_id);
}

/// Puts the host where it belongs after something about it changed.
void host_queue::settle(std::uint32_t host_id) {
    host& h = hosts_[host_id];
    if (h.where == place::ring || h.where == place::closed) return;
    if (h.first == none) {
        h.where = place::idle;
    } else if (!has_place(h)) {
        h.where = place::full;
    } else {
        h.where = place::ring;
        ring_.push_back(host_id);
    }
}

void host_queue::release_if_idle(std::uint32_t host_id) {
    const host& h = hosts_[host_id];
    if (h.where != place::idle || h.in_flight != 0 || h.delayed != 0) return;
    by_origin_.erase(h.origin);
    free_hosts_.push_back(host_id);
}

void host_queue::push(std::string_view origin, item_id item) {
    if (item >= host_of_.size()) {
        const std::size_t size = std::max<std::size_t>(item + 1, host_of_.size() * 2);
        host_of_.resize(size, none);
        next_in_line_.resize(size, none);
    }
    const std::uint32_t host_id = intern(origin);
    host_of_[item] = host_id;
    ++waiting_;
    link(host_id, item);
}

void host_queue::push_at(std::string_view origin, item_id item, time_point when) {
    if (item >= host_of_.size()) {
        host_of_.resize(item + 1, none);
        next_in_line_.resize(item + 1, none);
    }
    const std::uint32_t host_id = intern(origin);
    host_of_[item] = host_id;
    ++hosts_[host_id].delayed;
    ++waiting_;
    waits_.push({when, sequence_++, item, false});
}

void host_queue::let_due_ones_in(time_point now) {
    while (!waits_.empty() && waits_.top().when <= now) {
        const wait due = waits_.top();
        waits_.pop();
        if (!due.is_host) {
            const std::uint32_t host_id = host_of_[due.id];
            --hosts_[host_id].delayed;
            link(host_id, due.id);
            continue;
        }
        host& h = hosts_[due.id];
        if (h.where != place::closed || h.open_at > now) continue; // it was told to wait longer meanwhile
        h.where = place::idle;
        --closed_;
        settle(due.id);
        release_if_idle(due.id);
    }
}

std::optional<host_queue::item_id> host_queue::next(time_point now) {
    let_due_ones_in(now);
    if (total_limit_ != 0 && in_flight_ >= total_limit_) return std::nullopt;
    while (!ring_.empty()) {
        const std::uint32_t host_id = ring_.front();
        ring_.pop_front();
        host& h = hosts_[host_id];
        if (h.where != place::ring) continue; // closed while it stood in the ring
        h.where = place::idle;
        const item_id item = h.first;
        h.first = next_in_line_[item];
        if (h.first == none) h.last = none;
        ++h.in_flight;
        ++in_flight_;
        --waiting_;
        settle(host_id);
        return item;
    }
    return std::nullopt;
}

void host_queue::finished(item_id item) {
    const std::uint32_t host_id = host_of_[item];
    --hosts_[host_id].in_flight;
    --in_flight_;
    settle(host_id);
    release_if_idle(host_id);
}

void host_queue::close_host_of(item_id item, time_point when) {
    const std::uint32_t host_id = host_of_[item];
    host& h = hosts_[host_id];
    if (h.where == place::closed && h.open_at >= when) return;
    if (h.where == place::ring) ring_.erase(std::find(ring_.begin(), ring_.end(), host_id));
    if (h.where != place::closed) ++closed_;
    h.where = place::closed;
    h.open_at = when;
    waits_.push({when, sequence_++, host_id, true});
}

std::optional<time_point> host_queue::wake_time() const {
    if (waits_.empty()) return std::nullopt;
    return waits_.top().when;
}

std::vector<host_queue::item_id> host_queue::drain() {
    std::vector<item_id> out;
    for (; !waits_.empty(); waits_.pop())
        if (!waits_.top().is_host) {
            --hosts_[host_of_[waits_.top().id]].delayed;
            out.push_back(waits_.top().id);
        }
    ring_.clear();
    closed_ = 0;
    for (std::uint32_t id = 0; id < hosts_.size(); ++id) {
        host& h = hosts_[id];
        for (std::uint32_t item = h.first; item != none; item = next_in_line_[item]) out.push_back(item);
        h.first = h.last = none;
        h.where = place::idle;
    }
    waiting_ = 0;
    return out;
}

} // namespace plait::fetch
