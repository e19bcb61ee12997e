// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/channel_core.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/parking_place.hpp>
#include <span>
#include <variant>
#include <vector>

// How tasks and threads wait at the ends of a channel.

namespace plait::detail {

[[noreturn, gnu::visibility("default")]] void throw_channel_closed();
[[noreturn, gnu::visibility("default")]] void throw_receive_many_none();

/// A task's wait at one end. Its word changes under the channel's lock alone, so that whoever stands in the
/// list can be served: a canceller takes it off first.
template <class T>
class channel_awaiter : public waiter, public channel_waiter<T> {
  public:
    channel_core<T>& core() const noexcept { return *core_; }

  protected:
    using core_type = channel_core<T>;
    explicit channel_awaiter(core_type& c) noexcept : core_{&c} {}
    ~channel_awaiter() = default;

    static bool over(ring_result r) noexcept { return r == ring_result::done || r == ring_result::closed; }
    bool answered(ring_result r) noexcept {
        this->closed = r == ring_result::closed;
        return over(r);
    }

    bool suspend(std::coroutine_handle<> h, const char* what,
                 bool (core_type::*wait)(channel_waiter<T>&, typename core_type::woken&)) {
        if (!arm(h, what)) return false;
        core_type& c = *core_; // this may be gone as soon as the lock is free
        typename core_type::woken others;
        {
            const typename core_type::guard g{c.lock};
            if (was_cancelled()) return settle();
            if ((c.*wait)(*this, others)) {
                pend(); // cannot fail: cancellers take the lock
                return true;
            }
            complete_at_once();
        }
        core_type::wake(others);
        if (current().budget != 0) return settle();
        post(); // it is there, but the task has had its share of ready awaits
        return true;
    }

  private:
    bool claim() noexcept final { return complete(); }
    void wake() noexcept final { post(); }
    bool withdraw() noexcept final {
        core_type& c = *core_;
        const typename core_type::guard g{c.lock};
        if (!waiter::withdraw()) return false;
        c.leave(*this);
        return true;
    }
    core_type* core_;
};

template <class T>
class [[nodiscard]] receive_awaiter final : public channel_awaiter<T> {
  public:
    explicit receive_awaiter(channel_core<T>& c) noexcept : channel_awaiter<T>{c} {}
    receive_awaiter(receive_awaiter&& other) noexcept : receive_awaiter{other.core()} {} // not awaited yet

    bool await_ready() { return may_go_on() && this->answered(this->core().receive_now(item_)); }
    bool await_suspend(std::coroutine_handle<> h) {
        this->into = &item_;
        return this->suspend(h, "channel.receive", &channel_core<T>::receive_or_wait);
    }
    std::optional<T> await_resume() {
        this->check();
        return std::move(item_);
    }

    // As one of select's cases.
    using case_value = std::optional<T>;
    using item_type = T;
    static constexpr bool sends_item = false;
    std::optional<case_value> try_case() noexcept {
        if (!this->over(this->core().receive_now(item_))) return std::nullopt;
        return std::optional<case_value>{std::in_place, std::exchange(item_, std::nullopt)};
    }

  private:
    std::optional<T> item_;
};

template <class T>
class [[nodiscard]] receive_many_awaiter final : public channel_awaiter<T> {
  public:
    receive_many_awaiter(channel_core<T>& c, std::size_t most) : channel_awaiter<T>{c}, most_{most} {
        if (most == 0) throw_receive_many_none();
    }
    receive_many_awaiter(receive_many_awaiter&& other) noexcept
        : channel_awaiter<T>{other.core()}, most_{other.most_} {}

    bool await_ready() { return may_go_on() && this->answered(this->core().receive_some(items_, most_)); }
    bool await_suspend(std::coroutine_handle<> h) {
        items_.reserve(1); // no failure may lose the first one
        this->into = &first_;
        return this->suspend(h, "channel.receive_many", &channel_core<T>::receive_or_wait);
    }
    std::vector<T> await_resume() {
        this->check();
        if (first_) take_more(this->core(), std::move(*first_), items_, most_);
        return std::move(items_);
    }

    static void take_more(channel_core<T>& c, T&& first, std::vector<T>& items, std::size_t most) noexcept {
        items.push_back(std::move(first));
        if (most == 1) return;
        try {
            c.receive_some(items, most - 1);
        } catch (...) { // no memory for more
        }
    }

  private:
    std::optional<T> first_; // the one that was waited for
    std::vector<T> items_;
    std::size_t most_;
};

template <class T>
class [[nodiscard]] send_awaiter final : public channel_awaiter<T> {
  public:
    send_awaiter(channel_core<T>& c, T& x) noexcept : channel_awaiter<T>{c} {
        this->sends = true;
        this->from = &x;
    }
    send_awaiter(send_awaiter&& other) noexcept
        : send_awaiter{other.core(), *other.from} {} // not awaited yet

    bool await_ready() { return may_go_on() && this->answered(this->core().send_now(*this->from)); }
    bool await_suspend(std::coroutine_handle<> h) {
        return this->suspend(h, "channel.send", &channel_core<T>::send_or_wait);
    }
    void await_resume() {
        this->check();
        if (this->closed) throw_channel_closed();
    }

    // As one of select's cases.
    using case_value = std::monostate;
    using item_type = T;
    static constexpr bool sends_item = true;
    std::optional<case_value> try_case() {
        const ring_result r = this->core().send_now(*this->from);
        if (r == ring_result::closed) throw_channel_closed();
        return r == ring_result::done ? std::optional{case_value{}} : std::nullopt;
    }
};

/// `send` of an lvalue: the copy is made at the call.
template <class T>
class [[nodiscard]] copy_send_awaiter final {
  public:
    copy_send_awaiter(channel_core<T>& c, const T& x) : copy_{x}, wait_{c, copy_} {}
    copy_send_awaiter(copy_send_awaiter&& other) noexcept
        : copy_{std::move(other.copy_)}, wait_{other.wait_.core(), copy_} {}

    bool await_ready() { return wait_.await_ready(); }
    bool await_suspend(std::coroutine_handle<> h) { return wait_.await_suspend(h); }
    void await_resume() { wait_.await_resume(); }

    using case_value = std::monostate;
    using item_type = T;
    static constexpr bool sends_item = true;
    std::optional<case_value> try_case() { return wait_.try_case(); }
    channel_core<T>& core() const noexcept { return wait_.core(); }

  private:
    T copy_;
    send_awaiter<T> wait_;
};

template <class T>
class [[nodiscard]] send_many_awaiter final : public channel_awaiter<T> {
  public:
    send_many_awaiter(channel_core<T>& c, std::span<T> items) noexcept
        : channel_awaiter<T>{c}, items_{items} {
        this->sends = true;
        this->from = items.data();
    }
    send_many_awaiter(send_many_awaiter&& other) noexcept : send_many_awaiter{other.core(), other.items_} {}

    bool await_ready() {
        if (items_.empty()) return true;
        return may_go_on() && this->answered(this->core().send_some(items_.data(), items_.size(), sent_));
    }
    bool await_suspend(std::coroutine_handle<> h) {
        sent_ = 0;
        return this->suspend(h, "channel.send_many", &channel_core<T>::send_or_wait);
    }
    std::size_t await_resume() {
        this->check();
        if (this->closed) throw_channel_closed();
        if (sent_ == 0 && !items_.empty()) sent_ = send_more(this->core(), items_);
        return sent_;
    }

    /// The first of them has been sent.
    static std::size_t send_more(channel_core<T>& c, std::span<T> items) noexcept {
        std::size_t more = 0;
        if (items.size() == 1 || c.send_some(&items[1], items.size() - 1, more) != ring_result::done)
            return 1;
        return 1 + more;
    }

  private:
    std::span<T> items_;
    std::size_t sent_ = 0;
};

/// A thread's wait at one end.
template <class T>
class thread_waiter final : public channel_waiter<T> {
  public:
    /// `done`, `closed`, or `blocked` when the deadline has passed.
    ring_result wait(channel_core<T>& c, time_point deadline,
                     bool (channel_core<T>::*enter)(channel_waiter<T>&, typename channel_core<T>::woken&)) {
        typename channel_core<T>::woken others;
        bool waits = false;
        {
            const typename channel_core<T>::guard g{c.lock};
            waits = (c.*enter)(*this, others);
        }
        channel_core<T>::wake(others);
        if (waits && !place_.sleep_until(deadline)) {
            {
                const typename channel_core<T>::guard g{c.lock};
                if (c.leave(*this)) return ring_result::blocked;
            }
            place_.sleep(); // it has been served meanwhile, and is being woken
        }
        return this->closed ? ring_result::closed : ring_result::done;
    }

  private:
    bool claim() noexcept override { return true; }
    void wake() noexcept override { place_.wake(); }
    parking_place place_;
};

inline constexpr unsigned all_looks = ~0U;
inline bool waits_on(ring_result r) noexcept { return r == ring_result::blocked || r == ring_result::busy; }

template <class T>
ring_result send_until(channel_core<T>& c, T& x, time_point deadline) {
    refuse_to_block_a_loop("channel.send_blocking", "send(...)");
    const ring_result r = c.send_now(x);
    if (!waits_on(r)) return r;
    thread_waiter<T> here;
    here.sends = true;
    here.from = &x;
    return here.wait(c, deadline, &channel_core<T>::send_or_wait);
}

template <class T>
ring_result receive_until(channel_core<T>& c, std::optional<T>& into, time_point deadline) {
    refuse_to_block_a_loop("channel.receive_blocking", "receive()");
    const ring_result r = c.receive_now(into);
    if (!waits_on(r)) return r;
    thread_waiter<T> here;
    here.into = &into;
    return here.wait(c, deadline, &channel_core<T>::receive_or_wait);
}

/// How many of them were sent: none, when the deadline has passed.
template <class T>
std::size_t send_many_until(channel_core<T>& c, std::span<T> items, time_point deadline) {
    if (items.empty()) return 0;
    refuse_to_block_a_loop("channel.send_many_blocking", "send_many(...)");
    std::size_t sent = 0;
    ring_result r = c.send_some(items.data(), items.size(), sent);
    if (r == ring_result::done) return sent;
    if (r != ring_result::closed) r = send_until(c, items[0], deadline);
    if (r == ring_result::closed) throw_channel_closed();
    return r == ring_result::done ? send_many_awaiter<T>::send_more(c, items) : 0;
}

template <class T>
ring_result receive_many_until(channel_core<T>& c, std::vector<T>& into, std::size_t most,
                               time_point deadline) {
    if (most == 0) throw_receive_many_none();
    refuse_to_block_a_loop("channel.receive_many_blocking", "receive_many(...)");
    ring_result r = c.receive_some(into, most);
    if (!waits_on(r)) return r;
    into.reserve(1); // no failure may lose the first one
    std::optional<T> first;
    r = receive_until(c, first, deadline);
    if (first) receive_many_awaiter<T>::take_more(c, std::move(*first), into, most);
    return r;
}

} // namespace plait::detail
