// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <plait/detail/channel_core.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/received.hpp>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace plait {

namespace detail {
template <class T>
class channel_state;
template <class T>
class receive_awaiter;
template <class T>
class receive_many_awaiter;
template <class T>
class send_awaiter;
template <class T>
class copy_send_awaiter;
template <class T>
class send_many_awaiter;

/// What can be done at the sending end.
template <class End, class T>
class sending_end {
    friend End; // nobody else is one
    sending_end() noexcept = default;

  public:
    /// Waits for a free slot and moves `x` there; what is given as an lvalue is copied. Until then, and if it
    /// throws, `x` is the caller's: what it refers to must live until the await is over.
    [[nodiscard]] send_awaiter<T> send(T&& x);
    [[nodiscard]] copy_send_awaiter<T> send(const T& x);

    /// Waits until there is room for at least one, and moves in as many of `items` as fit, in order and in
    /// one step. Returns how many, counted from the front; the rest is still the caller's.
    [[nodiscard]] send_many_awaiter<T> send_many(std::span<T> items);

    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    void send_blocking(T&& x);
    void send_blocking(const T& x);
    std::size_t send_many_blocking(std::span<T> items);
    /// For at most `d`; then `full`, or 0 of many. On a loop: logic_error.
    template <class Rep, class Period>
    [[nodiscard]] send_status send_blocking_for(T&& x, std::chrono::duration<Rep, Period> d);
    template <class Rep, class Period>
    [[nodiscard]] send_status send_blocking_for(const T& x, std::chrono::duration<Rep, Period> d);
    template <class Rep, class Period>
    [[nodiscard]] std::size_t send_many_blocking_for(std::span<T> items,
                                                     std::chrono::duration<Rep, Period> d);

    /// Without a wait: what can be done at once.
    [[nodiscard]] send_status try_send(T&& x);
    [[nodiscard]] send_status try_send(const T& x);
    [[nodiscard]] std::size_t try_send_many(std::span<T> items);
};

/// What can be done at the receiving end.
template <class End, class T>
class receiving_end {
    friend End; // nobody else is one
    receiving_end() noexcept = default;

  public:
    /// Waits for an item: std::optional<T>, empty once the channel is closed and drained.
    [[nodiscard]] receive_awaiter<T> receive();

    /// Waits for an item and takes what is there, at most `most` in one step: a std::vector<T>, empty once
    /// the channel is closed and drained.
    [[nodiscard]] receive_many_awaiter<T> receive_many(std::size_t most);

    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    std::optional<T> receive_blocking();
    std::vector<T> receive_many_blocking(std::size_t most);
    /// For at most `d`; then what they return is empty, and not closed. On a loop: logic_error.
    template <class Rep, class Period>
    received<T> receive_blocking_for(std::chrono::duration<Rep, Period> d);
    template <class Rep, class Period>
    received<std::vector<T>> receive_many_blocking_for(std::size_t most,
                                                       std::chrono::duration<Rep, Period> d);

    /// Without a wait: what is there.
    received<T> try_receive();
    received<std::vector<T>> try_receive_many(std::size_t most);
};
} // namespace detail

/// A bounded queue between tasks: any number of senders, any number of receivers, coroutines and threads at
/// both ends.
///
/// A full channel suspends its senders: that is the backpressure.
///
///     plait::channel<std::string> lines{64};
///     co_await lines.send("first");
///     auto line = co_await lines.receive(); // empty once closed and drained
///
/// The channel itself is both ends, and is closed by `close()`. Where the ends belong to different tasks,
/// give each a handle: when the last `sender` has gone the receivers come to the end, and when the last
/// `receiver` has gone sending fails and what is left unread is destroyed. Handles keep what they share
/// alive, so the channel may go first.
///
///     plait::channel<int> numbers{16};
///     auto produce = [](plait::channel<int>::sender given) -> plait::task<> {
///         auto out = std::move(given); // gone at the end of the body; a parameter stays with the frame
///         for (int i = 0; i < 100; ++i) co_await out.send(i);
///     }; // the last sender has gone: the receiver's loop ends
///     auto consume = [](plait::channel<int>::receiver in) -> plait::task<> {
///         while (auto n = co_await in.receive()) use(*n);
///     };
///     co_await plait::gather(produce(numbers.make_sender()), consume(numbers.make_receiver()));
///
/// `select` waits for several channels at once.
///
/// T:             an object that moves without throwing.
/// Threads:       any member from any thread. Destroy it when nobody waits or is inside of a member any more;
///                those that use it by handles do not count.
/// Order:         first in, first out per sender. What happened before `send` is visible after its
///                `receive`: the sender publishes the slot's stamp with release, the receiver finds it
///                with acquire. So is what happened before a `receive` after the `send` that gets its
///                slot. Who had to wait is served by another, who has seen that stamp, and releases the
///                word of the wait, or of the sleeping thread, which the one that waited acquires. What
///                happened before `close` is visible to a receiver that sees the end, to a sender that
///                finds it closed, to who was woken by it, and after `closed()` (the mark in the tail:
///                release, acquire). Fairness: those who wait at an end are served in the order in which
///                they came; who comes just when a slot changes hands may be faster. A task that never has
///                to wait gives way after 128 awaits (test C28).
/// Cancellation:  a cancelled `send` has not sent, and its item is untouched; a cancelled `receive` has taken
///                nothing, and what it would have got goes to the next (tests Y4, Y5). What was handed over
///                before the cancellation is delivered. The blocking forms are not cancellable.
/// Errors:        `send` to a closed channel throws closed_error, and so do senders that wait when it is
///                closed; they keep their items. One item's timed and `try_` forms return `closed` instead.
///                Capacity 0, or a `most` of 0, throws invalid_argument.
/// Cost:          no allocation after construction, but for the vector of receive_many; when nobody waits,
///                two atomic read-modify-writes for an item, or for all of a send_many.
template <class T>
class channel : public detail::sending_end<channel<T>, T>, public detail::receiving_end<channel<T>, T> {
  public:
    using value_type = T;
    class sender;
    class receiver;

    explicit channel(std::size_t capacity);
    ~channel();
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;

    /// From now on nothing can be sent: waiting senders fail, receivers get what is there and then see the
    /// end. Closing twice is harmless.
    void close() noexcept;
    bool closed() const noexcept;

    std::size_t capacity() const noexcept;
    /// Items in it, a moment ago.
    std::size_t size() const noexcept;

    [[nodiscard]] sender make_sender();
    [[nodiscard]] receiver make_receiver();

  private:
    static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T> && std::is_destructible_v<T>,
                  "plait: a channel's items must be objects that move without throwing, so that none is "
                  "ever lost half way; send a std::unique_ptr to what does not");
    template <class End, class U>
    friend class detail::sending_end;
    template <class End, class U>
    friend class detail::receiving_end;
    detail::channel_state<T>& state() const noexcept { return *state_; }
    detail::channel_state<T>* state_;
};

/// One that sends; copies count as further ones. When the last has gone the channel is closed.
///
/// Threads:       as the channel's; one handle's own copying and destruction from one thread at a time.
/// Cancellation:  as the channel's (test Y5).
template <class T>
class [[nodiscard]] channel<T>::sender : public detail::sending_end<sender, T> {
  public:
    sender() noexcept = default;
    sender(const sender& other) noexcept;
    sender(sender&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
    sender& operator=(sender other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~sender();

  private:
    friend channel;
    template <class End, class U>
    friend class detail::sending_end;
    explicit sender(detail::channel_state<T>& s) noexcept;
    detail::channel_state<T>& state() const noexcept { return *state_; }
    detail::channel_state<T>* state_ = nullptr;
};

/// One that receives; copies count as further ones. When the last has gone the channel is closed, and what
/// nobody has read is destroyed.
///
/// Threads:       as the channel's; one handle's own copying and destruction from one thread at a time.
/// Cancellation:  as the channel's (test Y4).
template <class T>
class [[nodiscard]] channel<T>::receiver : public detail::receiving_end<receiver, T> {
  public:
    receiver() noexcept = default;
    receiver(const receiver& other) noexcept;
    receiver(receiver&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
    receiver& operator=(receiver other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~receiver();

  private:
    friend channel;
    template <class End, class U>
    friend class detail::receiving_end;
    explicit receiver(detail::channel_state<T>& s) noexcept;
    detail::channel_state<T>& state() const noexcept { return *state_; }
    detail::channel_state<T>* state_ = nullptr;
};

} // namespace plait

#include <plait/detail/channel.hpp> // the bodies
