// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/pipe.hpp>

namespace plait {

namespace detail {

/// Both ends, without the type.
struct process_channel_ends {
    channel_end in;
    shared_descriptor out;
};
[[gnu::visibility("default")]] process_channel_ends make_process_channel(std::size_t capacity);
/// Nothing can be sent any more, by nobody.
[[gnu::visibility("default")]] void close_channel(const channel_end& end) noexcept;
[[gnu::visibility("default")]] bool is_closed(const channel_end& end) noexcept;
[[gnu::visibility("default")]] std::size_t items_in(const channel_end& end) noexcept;
[[gnu::visibility("default")]] void save_end(byte_writer& out, const channel_end& end);
[[gnu::visibility("default")]] channel_end load_end(byte_reader& in);

} // namespace detail

template <class T>
class process_channel;

/// One that sends only; see process_channel.
///
/// Cancellation:  a cancelled `send` has not sent (process_channel_test, ACancelled...).
template <class T>
class process_channel_sender : public detail::pipe_sending<process_channel_sender<T>, T> {
  public:
    using sent_type = T;
    process_channel_sender() noexcept = default;

  private:
    friend process_channel<T>;
    template <class End, class V>
    friend class detail::pipe_sending;
    friend struct detail::handle_access;
    explicit process_channel_sender(detail::channel_end e) noexcept : end_{std::move(e)} {}
    const detail::channel_end& sends_at() const noexcept { return end_; }
    void save_handle(detail::byte_writer& out) const { detail::save_end(out, end_); }
    static process_channel_sender load_handle(detail::byte_reader& in) {
        return process_channel_sender{detail::load_end(in)};
    }
    detail::channel_end end_;
};

namespace detail {
template <class T>
inline constexpr bool is_handle<process_channel_sender<T>> = true;
} // namespace detail

/// A bounded queue between processes: any number of senders, any number of receivers, coroutines and threads,
/// in any processes of this program. What `channel` is within one.
///
///     plait::process_channel<std::string> queue{64};
///     auto counted = pool.submit(count_all, queue); // long count_all(plait::process_channel<std::string>)
///     for (auto& line : lines) queue.send_blocking(line); // a full channel makes its senders wait
///     queue.close();
///     use(counted.get());
///
/// The channel itself is both ends, and is closed by `close()`, for all processes. Where the ends belong to
/// different ones, give them a `sender` or a `receiver`: when the last handle that can send has gone, with
/// its process if need be, the receivers come to the end, and when the last that can receive has gone sending
/// fails.
///
/// It survives the death of any process, whatever kills it at whatever moment: the queue is the kernel's, and
/// no lock or index of it lies in memory that a process could leave half-written. Nobody hangs; each item is
/// received at most once; what a dead receiver had not taken goes to the others, and what a dead sender has
/// sent is there.
///
/// T:             sendable, shared arrays and pipes included.
/// Threads:       const members from any thread, in any process, at once; one handle's own copying, moving
///                and destruction from one thread at a time.
/// Order:         first in, first out per sender.
/// Cancellation:  a cancelled `send` has not sent, a cancelled `receive` has taken nothing
///                (process_channel_test, ACancelled...). The blocking forms are not cancellable.
/// Errors:        `send` to a closed channel throws closed_error, and so do senders that wait when it is
///                closed; one item's timed and `try_` forms return `closed` instead. What a serialiser throws
///                comes from `send`, and takes no place. A capacity that is not from 1 to `most_items`, or a
///                `most` of 0: invalid_argument. A handle that holds nothing: logic_error.
/// Cost:          two system calls for an item, one more to receive it; items of more than 448 bytes travel
///                in memory of their own, some 20 microseconds more.
template <class T>
class process_channel : public detail::pipe_sending<process_channel<T>, T>,
                        public detail::pipe_receiving<process_channel<T>, T> {
    static_assert(sendable<T>,
                  "plait: a process channel's items must be sendable: no pointers, views, references "
                  "or locks");

  public:
    using value_type = T;
    using sent_type = T;
    using sender = process_channel_sender<T>;
    using receiver = pipe_receiver<T>; // what comes out of a channel is what comes out of a pipe
    /// The kernel's buffer has room for so many.
    static constexpr std::size_t most_items = 256;

    /// Holds nothing.
    process_channel() noexcept = default;
    /// Senders wait while there are so many items. Senders in several processes that come at the same instant
    /// may exceed it by one each.
    explicit process_channel(std::size_t capacity) : ends_{detail::make_process_channel(capacity)} {}

    /// From now on nothing can be sent, by any process: waiting senders fail, receivers get what is there and
    /// then see the end. Closing twice is harmless.
    void close() const noexcept { detail::close_channel(ends_.in); }
    bool closed() const noexcept { return detail::is_closed(ends_.in); }

    std::size_t capacity() const noexcept { return ends_.in.capacity; }
    /// Items in it, a moment ago.
    std::size_t size() const noexcept { return detail::items_in(ends_.in); }

    [[nodiscard]] sender make_sender() const { return sender{ends_.in}; }
    [[nodiscard]] receiver make_receiver() const { return receiver{ends_.out}; }

  private:
    template <class End, class V>
    friend class detail::pipe_sending;
    template <class End, class V>
    friend class detail::pipe_receiving;
    friend struct detail::handle_access;
    friend struct detail::pipe_access;
    const detail::channel_end& sends_at() const noexcept { return ends_.in; }
    const detail::shared_descriptor& receives_at() const noexcept { return ends_.out; }
    void save_handle(detail::byte_writer& out) const {
        detail::save_end(out, ends_.in);
        detail::put_descriptor(out, ends_.out);
    }
    static process_channel load_handle(detail::byte_reader& in) {
        process_channel c;
        c.ends_.in = detail::load_end(in);
        c.ends_.out = detail::take_descriptor(in);
        return c;
    }
    detail::process_channel_ends ends_;
};

namespace detail {
template <class T>
inline constexpr bool is_handle<process_channel<T>> = true;
} // namespace detail

} // namespace plait
