// SPDX-License-Identifier: Apache-2.0
#include "fetch/plan.hpp"

#include <algorithm>
#include <utility>

#include "http/escape.hpp"

namespace plait::fetch {
namespace {

using step = verdict::step;
using http::detail::address_kind;

/// How many lines are read at a stretch while nothing of them can be asked: the loop has other things to do.
constexpr int lines_at_a_stretch = 256;

double seconds_between(time_point from, time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

} // namespace

plan::plan(const options& what, std::uint64_t seed)
    : what_(what), input_(what.urls, what.input), hosts_(what.connections, what.per_host), back_off_(seed) {}

std::uint32_t plan::new_item() {
    if (free_.empty()) {
        items_.emplace_back();
        return static_cast<std::uint32_t>(items_.size() - 1);
    }
    const std::uint32_t id = free_.back();
    free_.pop_back();
    return id;
}

std::size_t plan::site_of(const std::string& origin) {
    const auto it = sites_.find(origin);
    if (it != sites_.end()) return it->second;
    // Marks tell 26 sites apart, and a list may hold a million hosts.
    if (sites_.size() >= 64) return sites_.size();
    return sites_.emplace(origin, sites_.size()).first->second;
}

// Reading
// --------------------------------------------------------------------------------------------------------

std::optional<order> plan::next(time_point now) {
    paused_ = false;
    if (stopped_) return std::nullopt;
    for (int read = 0;; ++read) {
        while (const auto id = hosts_.next(now)) {
            if (!is_late(items_[*id], now)) return order_of(*id, now);
            fail(*id, {}, reason::timeout, "not done within the time given", now); // its host was closed
        }
        if (hosts_.in_flight() >= what_.connections || hosts_.waiting() >= look_ahead) return std::nullopt;
        paused_ = read >= lines_at_a_stretch;
        if (paused_ || !read_one(now)) return std::nullopt;
    }
}

/// False if there is no line now, or none any more.
bool plan::read_one(time_point now) {
    if (ended_) return false;
    try {
        list_is_slow_ = !input_.ready();
        if (list_is_slow_) return false;
        if (!input_.next(line_)) {
            ended_ = true;
            return false;
        }
    } catch (const fetch::run_error& error) {
        run_error_ = error.what();
        ended_ = true;
        stop(now);
        return false;
    }
    if (line_.fault.empty())
        admit(std::move(line_));
    else
        end_unasked(std::move(line_), reason::url, line_.fault);
    return true;
}

void plan::end_unasked(input_item&& line, reason why, std::string error) {
    row out;
    out.url = std::move(line.text);
    out.why = why;
    out.error = std::move(error);
    item_end told;
    told.url = out.url;
    told.error = out.error;
    told.reason = text_of(why);
    told.asked = false;
    book_->end(next_number_++, out, told);
}

void plan::admit(input_item&& line) {
    std::uint32_t id = new_item();
    if (book_->repeats_are_found()) {
        std::uint32_t first = id;
        const auto seen = book_->look_up(line.text, line.name, first);
        if (seen != ledger::first_seen::new_line) {
            free_.push_back(id);
            if (seen == ledger::first_seen::ended)
                book_->repeat(next_number_++, line.text, line.name);
            else
                items_[first].repeats.push_back(next_number_++);
            return;
        }
    }
    item& it = items_[id];
    it.number = next_number_++;
    it.text = std::move(line.text);
    it.first = std::move(line.url);
    it.name = std::move(line.name);
    it.tries = 0;
    it.begun = false;
    it.repeats.clear();
    it.file.clear();
    if (!what_.discard) { // now, in the order of the list, so that a second run gives the same names
        it.hash = hash_text(it.text + '\0' + it.name);
        it.file = names_.reserve(it.name.empty() ? name_from_path(it.first.path) : name_from_list(it.name));
    }
    start_over(it);
    const std::string origin = it.first.origin();
    it.site = site_of(origin);
    hosts_.push(origin, id);
}

void plan::start_over(item& it) {
    it.at = it.first;
    it.trail = {};
}

order plan::order_of(std::uint32_t id, time_point now) {
    item& it = items_[id];
    if (!it.begun) {
        it.begun = true;
        it.since = now;
    }
    if (it.trail.followed == 0) ++it.tries;
    book_->requested();
    order out;
    out.id = id;
    out.url = it.at.request_text();
    out.name = it.file;
    out.hash = it.hash;
    out.all_headers = !it.trail.changed_origin;
    out.redirected = it.trail.followed != 0;
    out.from_public = it.trail.from_public;
    if (what_.timeout != plait::detail::nanoseconds::max())
        out.time_left = std::max<std::int64_t>((it.since + what_.timeout - now).count(), 0);
    return out;
}

// Answers
// --------------------------------------------------------------------------------------------------------

void plan::finish(const fetched& answer, time_point now) {
    const std::uint32_t id = answer.id;
    item& it = items_[id];
    verdict found = judge(answer, it.tries, what_.retries);
    if (!answer.asked) {
        book_->not_requested();
        if (it.trail.followed == 0) --it.tries;
    }
    time_point next_try = now;
    if (found.next == step::again) next_try += back_off_.after(it.tries);
    if (found.next == step::again_when) {
        next_try += found.wait.count() > 0 ? back_off_.spread(found.wait) : back_off_.after(it.tries);
        hosts_.close_host_of(id, next_try);
    }
    if (found.next == step::again || found.next == step::again_when) {
        if (is_late(it, next_try)) { // no use in waiting
            found.next = step::failed;
            found.why = reason::timeout;
            found.error += "; the next attempt would be beyond the time given";
        } else if (stopped_) {
            found.next = step::failed;
        }
    }
    switch (found.next) {
    case step::done: {
        row out = row_of(it, answer, now);
        out.file = it.file;
        if (answer.length_unknown) out.length_unknown = true;
        out.content_encoding = answer.content_encoding;
        hosts_.finished(id);
        end(id, std::move(out), answer.worker);
        return;
    }
    case step::follow:
        follow(id, answer, now);
        return;
    case step::again:
        hosts_.finished(id);
        start_over(it);
        hosts_.push_at(it.at.origin(), id, next_try);
        return;
    case step::again_when:
        hosts_.finished(id);
        start_over(it);
        hosts_.push(it.at.origin(), id);
        return;
    case step::run_failed:
        run_error_ = found.error;
        [[fallthrough]];
    case step::failed:
        fail(id, answer, found.why, std::move(found.error), now);
        break;
    }
    if (!run_error_.empty()) stop(now);
}

void plan::follow(std::uint32_t id, const fetched& answer, time_point now) {
    item& it = items_[id];
    http::detail::answer from;
    from.status = answer.status;
    from.peer = static_cast<address_kind>(answer.peer);
    if (!answer.location.empty()) from.headers.append("location: " + answer.location + "\r\n");
    std::string fault;
    if (!http::detail::follow(from, what_.max_redirects, parser_, it.at, it.trail, fault)) {
        fail(id, answer, reason::redirect, std::move(fault), now);
        return;
    }
    hosts_.finished(id);
    if (stopped_)
        stop_waiting(id, now);
    else
        hosts_.push(it.at.origin(), id);
}

void plan::fail(std::uint32_t id, const fetched& answer, reason why, std::string error, time_point now) {
    row out = row_of(items_[id], answer, now);
    out.why = why;
    out.error = std::move(error);
    hosts_.finished(id);
    end(id, std::move(out), answer.worker);
}

row plan::row_of(const item& it, const fetched& answer, time_point now) const {
    row out;
    out.url = it.text;
    out.effective_url = it.at.text;
    out.status = answer.status;
    out.bytes = answer.bytes;
    out.attempts = it.tries;
    out.seconds = seconds_between(it.since, now);
    return out;
}

void plan::end(std::uint32_t id, row&& line, std::size_t worker) {
    item& it = items_[id];
    item_end told;
    told.url = line.url;
    told.error = line.error;
    told.reason = text_of(line.why);
    told.site = it.site;
    told.worker = worker;
    told.bytes = line.bytes;
    told.asked = it.tries != 0;
    if (book_->repeats_are_found()) book_->remember(line, it.name, it.number);
    book_->end(it.number, line, told);
    for (const std::uint64_t number : it.repeats) book_->repeat(number, line);
    it.repeats.clear();
    free_.push_back(id);
}

// The end
// --------------------------------------------------------------------------------------------------------

void plan::abandon(std::uint32_t id, time_point now) {
    fetched nothing;
    nothing.id = id;
    fail(id, nothing, reason::interrupted, "interrupted", now);
}

void plan::break_down(std::uint32_t id, std::string why, time_point now) {
    if (run_error_.empty()) run_error_ = why;
    fail(id, {}, reason::interrupted, std::move(why), now);
    stop(now);
}

void plan::stop_waiting(std::uint32_t id, time_point now) {
    const item& it = items_[id];
    row out = row_of(it, {}, it.begun ? now : it.since);
    const bool begun = it.tries != 0;
    if (!begun) {
        out.seconds = 0;
        out.effective_url.clear();
    }
    out.why = begun ? reason::interrupted : reason::not_started;
    out.error = begun ? "interrupted" : "not started";
    end(id, std::move(out), 0);
}

void plan::stop(time_point now) {
    if (std::exchange(stopped_, true)) return;
    std::vector<std::uint32_t> waiting = hosts_.drain();
    std::sort(waiting.begin(), waiting.end(),
              [&](auto a, auto b) { return items_[a].number < items_[b].number; });
    for (const std::uint32_t id : waiting) stop_waiting(id, now);
    try {
        while (!ended_ && input_.next_at_hand(line_))
            end_unasked(std::move(line_), line_.fault.empty() ? reason::not_started : reason::url,
                        line_.fault.empty() ? "not started" : line_.fault);
    } catch (const fetch::run_error& error) {
        if (run_error_.empty()) run_error_ = error.what();
    }
    ended_ = true;
}

} // namespace plait::fetch
