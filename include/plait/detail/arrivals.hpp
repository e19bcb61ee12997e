// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/chrono.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/state.hpp>

namespace plait::detail {

/// Futures in the order in which they finish, for one consumer: what wait, as_completed and map_unordered
/// stand on.
///
/// It shares the states that were added until they have been handed out, so the futures may go first. The
/// consumer is a thread (`next`) or a task (`next_async`).
class [[gnu::visibility("default")]] arrivals {
  public:
    arrivals();
    ~arrivals();
    arrivals(arrivals&& other) noexcept;
    arrivals& operator=(arrivals&& other) noexcept;

    /// Memory for the next `add`, which then cannot fail: for who has to begin what it will wait for first.
    void reserve_one();
    /// `index` comes out of `next` when `state` is done; at once if it is already.
    void add(state_base& state, std::size_t index);

    static constexpr std::size_t nothing = ~std::size_t{0};

    /// Blocks until one more is done, or the deadline passes: then `nothing`. Requires pending() > 0.
    std::size_t next(time_point deadline);
    /// One that is done already, or `nothing`.
    std::size_t poll() noexcept;
    /// Added, and not yet handed out.
    std::size_t pending() const noexcept;

    class awaiter;
    /// The same for a task.
    ///
    /// Cancellation:  throws `cancelled`; the futures are left alone.
    awaiter next_async() noexcept;

  private:
    struct node;
    struct implementation;
    implementation* self_;
};

class [[nodiscard, gnu::visibility("default")]] arrivals::awaiter final : public waiter {
  public:
    explicit awaiter(implementation& from) noexcept : of_{&from} {}
    awaiter(awaiter&& other) noexcept : of_{other.of_} {}
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> h) noexcept;
    std::size_t await_resume();

  private:
    friend struct arrivals::implementation;
    void unlink() noexcept override;
    implementation* of_;
    node* node_ = nullptr;
};

} // namespace plait::detail
