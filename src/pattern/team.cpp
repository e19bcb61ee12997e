// SPDX-License-Identifier: Apache-2.0
#include <plait/team.hpp>

#include "process/blocking.hpp"
#include "process/packet.hpp"
#include "sys/errors.hpp"

#include <plait/detail/descriptor_wait.hpp>
#include <plait/errors.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <stdexcept>
#include <string>

// Every member has one inbox, to which all others have the sending end: a message is a packet with its
// sender, kind and tag before it. A member that ends says farewell to each inbox; one that dies or fails is
// seen by the team's caller, which then closes the alarm, and every wait watches that too. So nobody waits
// for who is gone.

namespace plait {
namespace detail {
namespace {

struct envelope {
    std::uint32_t from = 0;
    letter what = letter::own;
    std::int32_t tag = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(envelope) <= largest_label);

struct pending {
    envelope label;
    pipe_message message;
};

std::string name_of(std::size_t rank) { return "member " + std::to_string(rank); }

} // namespace

void team_seat::save_handle(byte_writer& out) const {
    out.put(rank);
    out.put(static_cast<std::uint32_t>(others.size()));
    put_descriptor(out, inbox);
    put_descriptor(out, alarm);
    put_descriptor(out, complaints);
    for (const shared_descriptor& o : others) put_descriptor(out, o);
}

team_seat team_seat::load_handle(byte_reader& in) {
    team_seat seat;
    seat.rank = in.take<std::uint32_t>();
    const auto count = in.take<std::uint32_t>();
    in.expect(count, sizeof(std::uint32_t));
    seat.inbox = take_descriptor(in);
    seat.alarm = take_descriptor(in);
    seat.complaints = take_descriptor(in);
    for (std::uint32_t i = 0; i < count; ++i) seat.others.push_back(take_descriptor(in));
    return seat;
}

struct team_core::implementation {
    explicit implementation(team_seat s) : seat{std::move(s)}, left(seat.others.size()) {}

    /// One operation at a time: two that wait at the same inbox would take each other's messages.
    class operation {
      public:
        explicit operation(implementation& self) : self_{self} {
            if (std::exchange(self_.busy, true))
                throw std::logic_error{
                    "team: a member does two operations at once; await one before the next"};
        }
        operation(const operation&) = delete;
        operation& operator=(const operation&) = delete;
        ~operation() { self_.busy = false; }

      private:
        implementation& self_;
    };

    void check_rank(std::size_t rank, const char* what) const {
        if (rank >= seat.others.size())
            throw std::out_of_range{std::string{"team: "} + what + " " + name_of(rank) + " of a team of " +
                                    std::to_string(seat.others.size())};
    }

    /// Takes in one message that is there. False: there is none.
    bool take_in() {
        envelope label;
        pipe_message m;
        const pipe_result r = receive_packet(seat.inbox, std::as_writable_bytes(std::span{&label, 1}), m);
        if (r == pipe_result::nothing) return false;
        if (r == pipe_result::closed)
            throw_alarm("receive"); // the team is ending; to wait would be to turn for ever
        if (label.from >= left.size()) throw std::runtime_error{"team: a damaged message"};
        if (label.what == letter::farewell)
            left[label.from] = true;
        else
            waiting.push_back({label, std::move(m)});
        return true;
    }

    std::optional<pipe_message> find(std::size_t& from, letter what, std::int32_t tag) {
        for (auto p = waiting.begin(); p != waiting.end(); ++p) {
            if (p->label.what != what || (from != anyone && p->label.from != from)) continue;
            if (p->label.tag != tag) {
                if (what == letter::own) continue;
                throw std::logic_error{"team: " + name_of(p->label.from) + " and " + name_of(seat.rank) +
                                       " are in different collective operations; all members call the same "
                                       "ones in the same order"};
            }
            from = p->label.from;
            std::optional<pipe_message> found{std::move(p->message)};
            waiting.erase(p);
            return found;
        }
        return std::nullopt;
    }

    /// Throws if nothing can come from there any more.
    void check_alive(std::size_t from, const char* attempted) const {
        bool gone = from == anyone;
        if (from != anyone)
            gone = left[from];
        else
            for (std::size_t r = 0; r < left.size(); ++r) gone = gone && (left[r] || r == seat.rank);
        if (gone)
            throw closed_error{
                std::string{"team: "} + attempted + ": " +
                (from == anyone ? std::string{"all other members have"} : name_of(from) + " has") + " ended"};
    }

    [[noreturn]] static void throw_alarm(const char* attempted) {
        throw closed_error{std::string{"team: "} + attempted + ": another member has failed"};
    }

    task<void> wait(const shared_descriptor* room, const char* attempted, waits how) {
        pollfd entries[] = {{seat.alarm.get(), POLLIN, 0},
                            {seat.inbox.get(), POLLIN, 0},
                            {room != nullptr ? room->get() : -1, POLLOUT, 0}};
        if (how == waits::blocked) {
            refuse_to_block("team: a blocking operation", "the form without _blocking");
            poll_until(entries, time_point::max());
            if (entries[0].revents != 0) throw_alarm(attempted);
            co_return;
        }
        if (::poll(entries, 1, 0) > 0) throw_alarm(attempted);
        const awaited_descriptor all[] = {
            {seat.alarm.get(), false}, {seat.inbox.get(), false}, {room != nullptr ? room->get() : -1, true}};
        const std::span<const awaited_descriptor> some{all,
                                                       room != nullptr ? std::size_t{3} : std::size_t{2}};
        co_await descriptor_wait{some, attempted};
    }

    team_seat seat;
    std::vector<bool> left; // who has said farewell
    std::deque<pending> waiting;
    bool busy = false;
};

team_core::team_core(team_seat seat) : self_{new implementation{std::move(seat)}} {}
team_core::~team_core() { delete self_; }
std::size_t team_core::rank() const noexcept { return self_->seat.rank; }
std::size_t team_core::size() const noexcept { return self_->seat.others.size(); }

task<void> team_core::send(std::size_t to, letter what, std::int32_t tag, pipe_message m, waits how) {
    implementation& self = *self_;
    const implementation::operation here{self};
    self.check_rank(to, "send to");
    const envelope label{self.seat.rank, what, tag, 0};
    if (to == self.seat.rank) {
        open_large(m, std::exchange(m.in_memory, 0));
        self.waiting.push_back({label, std::move(m)});
        co_return;
    }
    if (how == waits::suspended && !may_go_on()) co_await plait::yield();
    const shared_descriptor& room = self.seat.others[to];
    const time_point give_up_at = std::chrono::steady_clock::now() + patience_for_room;
    for (;;) {
        const int error = send_packet(room, std::as_bytes(std::span{&label, 1}), m);
        if (error == 0) co_return;
        if (error == EPIPE) throw closed_error{"team: send: " + name_of(to) + " has ended"};
        if (error != EAGAIN) {
            if (std::chrono::steady_clock::now() >= give_up_at) throw_no_room(error);
            if (how == waits::blocked)
                nap_for_room();
            else
                co_await plait::sleep_for(pause_for_room);
            continue;
        }
        bool taken = false;
        while (self.take_in()) taken = true;
        if (!taken) co_await self.wait(&room, "team.send", how);
    }
}

task<pipe_message> team_core::receive(std::size_t& from, letter what, std::int32_t tag, waits how) {
    implementation& self = *self_;
    const implementation::operation here{self};
    if (from != anyone) self.check_rank(from, "receive from");
    if (how == waits::suspended && !may_go_on()) co_await plait::yield();
    for (;;) {
        std::optional<pipe_message> found = self.find(from, what, tag);
        if (found) co_return std::move(*found);
        if (self.take_in()) continue;
        self.check_alive(from, "receive");
        co_await self.wait(nullptr, "team.receive", how);
    }
}

task<void> team_core::leave(waits how) {
    for (std::size_t r = 0; r < size(); ++r) {
        if (r == rank() || self_->left[r]) continue;
        try {
            co_await send(r, letter::farewell, 0, {}, how);
        } catch (const closed_error&) {
            continue; // it has ended as well, or the team has: then there is nobody to tell
        }
    }
}

void team_core::complain() noexcept {
    try {
        throw;
    } catch (const closed_error&) {
    } catch (const cancelled&) { // consequences of another's end
    } catch (...) {
        try {
            pipe_message m = encode_message(self_->seat.rank);
            static_cast<void>(send_packet(self_->seat.complaints, {}, m));
        } catch (...) {
            return; // then the team's caller goes by what it sees
        }
    }
}

void team_core::throw_bad_count(const char* what, std::size_t given, std::size_t wanted) {
    throw std::invalid_argument{std::string{"team: "} + what + " with " + std::to_string(given) +
                                " items, where there must be " + std::to_string(wanted)};
}

team_setup::team_setup(std::size_t members) : members_{members} {
    if (members == 0) throw std::invalid_argument{"team: 0 members; it must be at least 1"};
    pipe_ends alarm = make_pipe_ends(false);
    pipe_ends complaints = make_pipe_ends(false);
    alarm_ = std::move(alarm.one);
    complaints_ = std::move(complaints.other);
    std::vector<shared_descriptor> inboxes;
    seats_.resize(members);
    for (std::size_t r = 0; r < members; ++r) {
        pipe_ends inbox = make_pipe_ends(false);
        seats_[r].rank = static_cast<std::uint32_t>(r);
        seats_[r].inbox = std::move(inbox.other);
        seats_[r].alarm = alarm.other;
        seats_[r].complaints = complaints.one;
        inboxes.push_back(std::move(inbox.one));
    }
    for (std::size_t r = 0; r < members; ++r) {
        seats_[r].others = inboxes;
        seats_[r].others[r] = {};
    }
}

void team_setup::throw_too_many(std::size_t members, std::size_t concurrency) {
    throw std::invalid_argument{
        "team: " + std::to_string(members) +
        " members that block, or run in the caller, but the executor runs " + std::to_string(concurrency) +
        " at once; give it as many workers, or write the member as a coroutine for a pool or a loop"};
}

void team_setup::failed(std::vector<std::size_t> ranks, std::exception_ptr error) {
    failures_.push_back({std::move(ranks), std::move(error)});
}

void team_setup::rethrow() const {
    const failure* first = nullptr;
    std::size_t rank = 0;
    // Who has failed of itself has said so. A process that died has not: then it is the first failure that is
    // no consequence of another one.
    pipe_message m;
    if (receive_now(complaints_, m) == pipe_result::done) {
        rank = decode_message<std::uint32_t>(std::move(m));
        for (const failure& f : failures_)
            if (std::find(f.ranks.begin(), f.ranks.end(), rank) != f.ranks.end()) first = &f;
    }
    for (const failure& f : failures_) {
        if (first != nullptr) break;
        try {
            std::rethrow_exception(f.error);
        } catch (const closed_error&) {
        } catch (const cancelled&) {
        } catch (...) {
            first = &f;
            rank = f.ranks.front();
        }
    }
    if (first == nullptr) {
        first = &failures_.front();
        rank = first->ranks.front();
    }
    try {
        std::rethrow_exception(first->error);
    } catch (const std::exception& e) {
        std::throw_with_nested(team_error{rank, members_, e.what()});
    } catch (const cancelled&) {
        std::throw_with_nested(team_error{rank, members_, "it was cancelled"});
    } catch (...) {
        std::throw_with_nested(team_error{rank, members_, "it threw something that is no std::exception"});
    }
}

} // namespace detail

team_error::team_error(std::size_t rank, std::size_t members, const std::string& why)
    : std::runtime_error{"team: member " + std::to_string(rank) + " of " + std::to_string(members) +
                         " failed: " + why},
      rank_{rank} {}

} // namespace plait
