// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/channel.hpp>
#include <plait/detail/channel_wait.hpp>

// The bodies of channel's members.

namespace plait::detail {

[[noreturn, gnu::visibility("default")]] void throw_channel_capacity(std::size_t capacity);

inline std::size_t checked_capacity(std::size_t capacity) {
    if (capacity == 0 || capacity > channel_ring<char>::most_capacity) throw_channel_capacity(capacity);
    return capacity;
}

/// What a channel and its handles share.
template <class T>
class channel_state : public channel_core<T> {
  public:
    explicit channel_state(std::size_t capacity) : channel_core<T>{checked_capacity(capacity)} {}

    void add_sender() noexcept { add(senders_); }
    void add_receiver() noexcept { add(receivers_); }
    void sender_gone() noexcept {
        if (last(senders_)) this->close();
        owner_gone();
    }
    void receiver_gone() noexcept {
        if (last(receivers_)) {
            this->close();
            std::optional<T> unread;
            while (this->receive_now(unread) == ring_result::done) unread.reset();
        }
        owner_gone();
    }
    void owner_gone() noexcept {
        if (last(owners_)) delete this;
    }

  private:
    using count = atomic<std::size_t>;
    void add(count& handles) noexcept {
        // relaxed: who makes a handle has one, or the channel.
        handles.fetch_add(1, order::relaxed);
        owners_.fetch_add(1, order::relaxed);
    }
    // acq_rel: the last one sees what the others have done.
    static bool last(count& n) noexcept { return n.fetch_sub(1, order::acq_rel) == 1; }

    count owners_{1}; // the channel, and all handles
    count senders_{0};
    count receivers_{0};
};

inline send_status status_of(ring_result r) noexcept {
    if (r == ring_result::done) return send_status::sent;
    return r == ring_result::closed ? send_status::closed : send_status::full;
}

template <class T>
received<std::vector<T>> received_many(std::vector<T>&& items, ring_result r) noexcept {
    if (items.empty()) return {std::nullopt, r == ring_result::closed};
    return {std::move(items), false};
}

template <class End, class T>
send_awaiter<T> sending_end<End, T>::send(T&& x) {
    return {static_cast<End*>(this)->state(), x};
}
template <class End, class T>
copy_send_awaiter<T> sending_end<End, T>::send(const T& x) {
    return {static_cast<End*>(this)->state(), x};
}
template <class End, class T>
send_many_awaiter<T> sending_end<End, T>::send_many(std::span<T> items) {
    return {static_cast<End*>(this)->state(), items};
}
template <class End, class T>
void sending_end<End, T>::send_blocking(T&& x) {
    channel_core<T>& c = static_cast<End*>(this)->state();
    if (send_until(c, x, time_point::max()) == ring_result::closed) throw_channel_closed();
}
template <class End, class T>
void sending_end<End, T>::send_blocking(const T& x) {
    send_blocking(T{x});
}
template <class End, class T>
std::size_t sending_end<End, T>::send_many_blocking(std::span<T> items) {
    return send_many_until<T>(static_cast<End*>(this)->state(), items, time_point::max());
}
template <class End, class T>
template <class Rep, class Period>
send_status sending_end<End, T>::send_blocking_for(T&& x, std::chrono::duration<Rep, Period> d) {
    channel_core<T>& c = static_cast<End*>(this)->state();
    return status_of(send_until(c, x, deadline_in(d)));
}
template <class End, class T>
template <class Rep, class Period>
send_status sending_end<End, T>::send_blocking_for(const T& x, std::chrono::duration<Rep, Period> d) {
    return send_blocking_for(T{x}, d);
}
template <class End, class T>
template <class Rep, class Period>
std::size_t sending_end<End, T>::send_many_blocking_for(std::span<T> items,
                                                        std::chrono::duration<Rep, Period> d) {
    return send_many_until<T>(static_cast<End*>(this)->state(), items, deadline_in(d));
}
template <class End, class T>
send_status sending_end<End, T>::try_send(T&& x) {
    return status_of(static_cast<End*>(this)->state().send_now(x, all_looks));
}
template <class End, class T>
send_status sending_end<End, T>::try_send(const T& x) {
    return try_send(T{x});
}
template <class End, class T>
std::size_t sending_end<End, T>::try_send_many(std::span<T> items) {
    if (items.empty()) return 0;
    std::size_t sent = 0;
    const ring_result r =
        static_cast<End*>(this)->state().send_some(items.data(), items.size(), sent, all_looks);
    if (r == ring_result::closed) throw_channel_closed();
    return r == ring_result::done ? sent : 0;
}

template <class End, class T>
receive_awaiter<T> receiving_end<End, T>::receive() {
    return receive_awaiter<T>{static_cast<End*>(this)->state()};
}
template <class End, class T>
receive_many_awaiter<T> receiving_end<End, T>::receive_many(std::size_t most) {
    return {static_cast<End*>(this)->state(), most};
}
template <class End, class T>
std::optional<T> receiving_end<End, T>::receive_blocking() {
    std::optional<T> item;
    receive_until<T>(static_cast<End*>(this)->state(), item, time_point::max());
    return item;
}
template <class End, class T>
std::vector<T> receiving_end<End, T>::receive_many_blocking(std::size_t most) {
    std::vector<T> items;
    receive_many_until<T>(static_cast<End*>(this)->state(), items, most, time_point::max());
    return items;
}
template <class End, class T>
template <class Rep, class Period>
received<T> receiving_end<End, T>::receive_blocking_for(std::chrono::duration<Rep, Period> d) {
    std::optional<T> item;
    const ring_result r = receive_until<T>(static_cast<End*>(this)->state(), item, deadline_in(d));
    return {std::move(item), r == ring_result::closed};
}
template <class End, class T>
template <class Rep, class Period>
received<std::vector<T>>
receiving_end<End, T>::receive_many_blocking_for(std::size_t most, std::chrono::duration<Rep, Period> d) {
    std::vector<T> items;
    const ring_result r =
        receive_many_until<T>(static_cast<End*>(this)->state(), items, most, deadline_in(d));
    return received_many(std::move(items), r);
}
template <class End, class T>
received<T> receiving_end<End, T>::try_receive() {
    std::optional<T> item;
    const ring_result r = static_cast<End*>(this)->state().receive_now(item, all_looks);
    return {std::move(item), r == ring_result::closed};
}
template <class End, class T>
received<std::vector<T>> receiving_end<End, T>::try_receive_many(std::size_t most) {
    if (most == 0) throw_receive_many_none();
    std::vector<T> items;
    const ring_result r = static_cast<End*>(this)->state().receive_some(items, most, all_looks);
    return received_many(std::move(items), r);
}

} // namespace plait::detail

namespace plait {

template <class T>
channel<T>::channel(std::size_t capacity) : state_{new detail::channel_state<T>{capacity}} {}
template <class T>
channel<T>::~channel() {
    state_->owner_gone();
}
template <class T>
void channel<T>::close() noexcept {
    state_->close();
}
template <class T>
bool channel<T>::closed() const noexcept {
    return state_->ring.closed();
}
template <class T>
std::size_t channel<T>::capacity() const noexcept {
    return state_->ring.capacity();
}
template <class T>
std::size_t channel<T>::size() const noexcept {
    return state_->ring.size();
}
template <class T>
typename channel<T>::sender channel<T>::make_sender() {
    return sender{*state_};
}
template <class T>
typename channel<T>::receiver channel<T>::make_receiver() {
    return receiver{*state_};
}

template <class T>
channel<T>::sender::sender(detail::channel_state<T>& s) noexcept : state_{&s} {
    s.add_sender();
}
template <class T>
channel<T>::sender::sender(const sender& other) noexcept : state_{other.state_} {
    if (state_) state_->add_sender();
}
template <class T>
channel<T>::sender::~sender() {
    if (state_) state_->sender_gone();
}
template <class T>
channel<T>::receiver::receiver(detail::channel_state<T>& s) noexcept : state_{&s} {
    s.add_receiver();
}
template <class T>
channel<T>::receiver::receiver(const receiver& other) noexcept : state_{other.state_} {
    if (state_) state_->add_receiver();
}
template <class T>
channel<T>::receiver::~receiver() {
    if (state_) state_->receiver_gone();
}

} // namespace plait
