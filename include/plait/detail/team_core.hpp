// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/pipe_core.hpp>
#include <vector>

namespace plait::detail {

template <class F>
class team_body;

/// A member's place in a team as it travels to where it runs: its inbox, everybody's inbox to send to, the
/// alarm, which is at its end once a member has failed, and where a member that fails says so first.
class [[gnu::visibility("default")]] team_seat {
  public:
    std::uint32_t rank = 0;
    shared_descriptor inbox;
    shared_descriptor alarm;
    shared_descriptor complaints;
    std::vector<shared_descriptor> others; // by rank; its own is empty

  private:
    friend struct handle_access;
    void save_handle(byte_writer& out) const;
    static team_seat load_handle(byte_reader& in);
};
template <>
inline constexpr bool is_handle<team_seat> = true;

enum class waits : bool { suspended, blocked };

/// What a message is. What members say to each other in collective operations is kept apart from their own.
enum class letter : std::uint32_t { own, collective, farewell };

/// A member's side of its team, without types: sends, receives, and puts aside what comes out of turn.
class [[gnu::visibility("default")]] team_core {
  public:
    explicit team_core(team_seat seat);
    team_core(const team_core&) = delete;
    team_core& operator=(const team_core&) = delete;
    ~team_core();

    std::size_t rank() const noexcept;
    std::size_t size() const noexcept;

    /// While there is no room it takes in what comes, so that members who send to each other both go on.
    task<void> send(std::size_t to, letter what, std::int32_t tag, pipe_message m, waits how);
    /// `from` may be `anyone`; then it becomes who it was.
    task<pipe_message> receive(std::size_t& from, letter what, std::int32_t tag, waits how);
    /// Tells the others that nothing more comes.
    task<void> leave(waits how);
    /// In a handler: this member fails of what is handled, which is no consequence of another's end.
    void complain() noexcept;

    static constexpr std::size_t anyone = ~std::size_t{0};
    [[noreturn]] static void throw_bad_count(const char* what, std::size_t given, std::size_t wanted);

  private:
    struct implementation;
    implementation* self_;
};

/// The other side: what the team's caller keeps.
class [[gnu::visibility("default")]] team_setup {
  public:
    /// Throws invalid_argument, system_error.
    explicit team_setup(std::size_t members);
    team_seat take(std::size_t rank) { return std::move(seats_[rank]); }

    /// The task that ran these members has failed: whoever waits for them is told, and whoever will.
    void failed(std::vector<std::size_t> ranks, std::exception_ptr error);
    bool any_failed() const noexcept { return !failures_.empty(); }
    /// Tells them all to stop.
    void raise_alarm() noexcept { alarm_ = {}; }
    /// When all have ended: team_error that names the first.
    [[noreturn]] void rethrow() const;

    [[noreturn]] static void throw_too_many(std::size_t members, std::size_t concurrency);

  private:
    struct failure {
        std::vector<std::size_t> ranks;
        std::exception_ptr error;
    };
    std::size_t members_;
    std::vector<team_seat> seats_;
    std::vector<failure> failures_; // in the order in which they were seen
    shared_descriptor alarm_;
    shared_descriptor complaints_;
};

/// Runs a task whose awaits do not suspend, since it was told to block.
template <class T>
T run_at_once(task<T> t) {
    struct ended final : work {
        ended() noexcept : work{[](work&) noexcept {}} {}
    } end;
    task_result<T> result;
    drive(task_access::prepare(t, result, running_scope(), end));
    return result.take_value();
}

} // namespace plait::detail
