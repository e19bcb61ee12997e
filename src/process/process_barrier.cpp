// SPDX-License-Identifier: Apache-2.0
#include <plait/process_sync.hpp>

#include "process/waiting.hpp"

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

// Every party has an inbox, which the others can send to, and a line that it holds one end of alone: that is
// at its end once the party has gone, whatever became of it. Arriving is a message to each inbox; a round is
// over when one of each other party has come. A party that has gone after its message counts as arrived: what
// it sent is read first.

namespace plait {
namespace detail {
namespace {

// So that an inbox has room for all arrivals of a round and of the next, and no party ever waits to say that
// it has come.
constexpr std::size_t most_parties = 64;

struct arrival {
    std::uint32_t party = 0;
    std::uint32_t round = 0;
};

} // namespace
} // namespace detail

using detail::shared_descriptor;

struct process_barrier::seat {
    std::uint32_t party = 0;
    shared_descriptor inbox;
    shared_descriptor alive;             // its end of its own line
    std::vector<shared_descriptor> to;   // by party: their inboxes; its own is empty
    std::vector<shared_descriptor> line; // by party: at its end when that one has gone

    std::vector<std::uint32_t> rounds; // by party: how often it has arrived
    std::uint32_t round = 0;           // how often this one has
    std::size_t told = 0; // to how many of `to` of this round; `to.size()`: all, the round is awaited
    bool under_way = false;

    void begin() {
        if (under_way) return; // cancelled before: the same round
        under_way = true;
        ++round;
        told = 0;
    }

    /// One more step. True: the round is over.
    bool step() {
        for (; told < to.size(); ++told) {
            if (told == party) continue;
            const detail::arrival a{party, round};
            detail::pipe_message m;
            const int error = detail::send_packet(to[told], std::as_bytes(std::span{&a, 1}), m);
            if (error == EPIPE) continue; // it has gone: whether it had arrived is seen below
            if (error != 0) return false; // the kernel has no memory for it now: again, after a pause
        }
        take_in();
        for (std::uint32_t p = 0; p < to.size(); ++p) {
            if (p == party || rounds[p] >= round) continue;
            pollfd entry{line[p].get(), POLLIN, 0};
            if (::poll(&entry, 1, 0) <= 0) return false;
            take_in(); // it may have arrived just before it went
            if (rounds[p] >= round) continue;
            throw closed_error{"process_barrier: party " + std::to_string(p) + " of " +
                               std::to_string(to.size()) + " has gone before it arrived"};
        }
        under_way = false;
        return true;
    }

    void take_in() {
        for (;;) {
            detail::arrival a;
            detail::pipe_message m;
            if (detail::receive_packet(inbox, std::as_writable_bytes(std::span{&a, 1}), m) !=
                detail::pipe_result::done)
                return;
            if (a.party < rounds.size()) rounds[a.party] = std::max(rounds[a.party], a.round);
        }
    }

    /// What may change what step() says: a message, or the end of one that has not arrived.
    std::vector<shared_descriptor> bells() const {
        std::vector<shared_descriptor> all{inbox};
        for (std::size_t p = 0; p < line.size(); ++p)
            if (p != party && rounds[p] < round) all.push_back(line[p]);
        return all;
    }
};

std::vector<process_barrier> process_barrier::make(std::size_t n) {
    if (n == 0 || n > detail::most_parties)
        throw std::invalid_argument{"process_barrier: " + std::to_string(n) +
                                    " parties; there must be from 1 to " +
                                    std::to_string(detail::most_parties)};
    std::vector<shared_descriptor> inboxes;
    std::vector<shared_descriptor> lines;
    std::vector<process_barrier> all(n);
    for (std::size_t p = 0; p < n; ++p) {
        detail::pipe_ends inbox = detail::make_pipe_ends(false);
        detail::pipe_ends line = detail::make_pipe_ends(false);
        all[p].seat_ = std::make_shared<seat>();
        all[p].seat_->party = static_cast<std::uint32_t>(p);
        all[p].seat_->inbox = std::move(inbox.other);
        all[p].seat_->alive = std::move(line.one);
        inboxes.push_back(std::move(inbox.one));
        lines.push_back(std::move(line.other));
    }
    for (std::size_t p = 0; p < n; ++p) {
        seat& s = *all[p].seat_;
        s.to = inboxes;
        s.line = lines;
        s.to[p] = s.line[p] = {};
        s.rounds.resize(n);
    }
    return all;
}

process_barrier::seat& process_barrier::held() const {
    if (!seat_) throw std::logic_error{"process_barrier: this party holds nothing: it was moved from"};
    return *seat_;
}

std::size_t process_barrier::party() const noexcept { return seat_ ? seat_->party : 0; }
std::size_t process_barrier::parties() const noexcept { return seat_ ? seat_->to.size() : 0; }

task<void> process_barrier::arrive(std::shared_ptr<seat> s) {
    if (!detail::may_go_on()) co_await plait::yield(); // which throws if the task is stopped
    s->begin();
    while (!s->step()) {
        if (s->told < s->to.size()) {
            co_await plait::sleep_for(detail::pause_for_room);
            continue;
        }
        const auto awaited = detail::to_read(s->bells());
        co_await detail::descriptor_wait{awaited, "process_barrier"};
    }
}

task<void> process_barrier::arrive_and_wait() const {
    held();
    return arrive(seat_);
}

void process_barrier::arrive_and_wait_blocking() const {
    seat& s = held();
    detail::refuse_to_block("process_barrier.arrive_and_wait_blocking", "arrive_and_wait()");
    s.begin();
    while (!s.step()) {
        if (s.told < s.to.size()) {
            detail::nap_for_room();
            continue;
        }
        std::vector<pollfd> entries = detail::readable(s.bells());
        detail::poll_until(entries, detail::time_point::max());
    }
}

void process_barrier::save_handle(detail::byte_writer& out) const {
    out.put(static_cast<std::uint32_t>(parties()));
    if (!seat_) return;
    const seat& s = *seat_;
    out.put(s.party);
    out.put(s.round);
    detail::put_descriptor(out, s.inbox);
    detail::put_descriptor(out, s.alive);
    for (std::size_t p = 0; p < s.to.size(); ++p) {
        out.put(s.rounds[p]);
        detail::put_descriptor(out, s.to[p]);
        detail::put_descriptor(out, s.line[p]);
    }
}

process_barrier process_barrier::load_handle(detail::byte_reader& in) {
    process_barrier b;
    const auto n = in.take<std::uint32_t>();
    if (n == 0) return b;
    in.expect(n, 3 * sizeof(std::uint32_t));
    b.seat_ = std::make_shared<seat>();
    seat& s = *b.seat_;
    s.party = in.take<std::uint32_t>();
    s.round = in.take<std::uint32_t>();
    s.inbox = detail::take_descriptor(in);
    s.alive = detail::take_descriptor(in);
    for (std::uint32_t p = 0; p < n; ++p) {
        s.rounds.push_back(in.take<std::uint32_t>());
        s.to.push_back(detail::take_descriptor(in));
        s.line.push_back(detail::take_descriptor(in));
    }
    return b;
}

} // namespace plait
