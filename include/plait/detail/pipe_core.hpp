// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/chrono.hpp>
#include <plait/detail/received.hpp>
#include <plait/serialize.hpp>
#include <plait/task.hpp>
#include <span>
#include <vector>

namespace plait::detail {

struct packet_room {
    std::size_t most;
    bool all_equal = false;
};
inline constexpr packet_room pipe_room{(std::size_t{64} << 10) - 128};

/// One message on its way, encoded: its bytes, and the descriptors of the handles in it.
class [[gnu::visibility("default")]] pipe_message {
  public:
    pipe_message() noexcept = default;
    pipe_message(pipe_message&& other) noexcept
        : bytes{std::move(other.bytes)},
          descriptors{std::move(other.descriptors)},
          large{std::exchange(other.large, nullptr)},
          large_size{std::exchange(other.large_size, 0)},
          in_memory{other.in_memory},
          size{other.size} {}
    pipe_message& operator=(pipe_message other) noexcept {
        bytes.swap(other.bytes);
        descriptors.all.swap(other.descriptors.all);
        std::swap(large, other.large);
        std::swap(large_size, other.large_size);
        in_memory = other.in_memory;
        size = other.size;
        return *this;
    }
    ~pipe_message();

    /// Before it is sent, by what a packet holds: more goes into memory of its own, and where packets are all
    /// equal, less is filled up. Throws system_error.
    void prepare(packet_room room);

    byte_buffer bytes;
    descriptor_list descriptors;
    // As received: what does not fit a packet lies in memory of its own, mapped here instead of `bytes`.
    void* large = nullptr;
    std::size_t large_size = 0;
    std::uint64_t in_memory = 0; // to be sent: so many bytes are in the last descriptor's memory
    std::uint64_t size = 0;      // to be sent: of `bytes`, without what fills them up
};

template <class T>
pipe_message encode_message(const T& x, packet_room room = pipe_room) {
    pipe_message m;
    buffer_writer out{m.bytes};
    out.descriptors = &m.descriptors;
    encode(out, x);
    out.finish();
    m.prepare(room);
    return m;
}
template <class T>
T decode_message(pipe_message m) {
    memory_reader in{m.large != nullptr ? static_cast<const std::byte*>(m.large) : m.bytes.data(),
                     m.large != nullptr ? m.large_size : m.bytes.size()};
    in.descriptors = &m.descriptors;
    return decode<T>(in);
}

enum class pipe_result : unsigned char { done, nothing, closed };

// The ends without their types. `socket` is one end of a connected pair that keeps message borders.
struct pipe_ends {
    shared_descriptor one;
    shared_descriptor other;
};
[[gnu::visibility("default")]] pipe_ends make_pipe_ends(bool duplex);

[[gnu::visibility("default")]] pipe_result send_now(const shared_descriptor& socket, pipe_message& m);
[[gnu::visibility("default")]] pipe_result send_until(const shared_descriptor& socket, pipe_message& m,
                                                      time_point deadline);
[[gnu::visibility("default")]] task<void> send_message(shared_descriptor socket, pipe_message m);
[[gnu::visibility("default")]] pipe_result receive_now(const shared_descriptor& socket, pipe_message& m);
[[gnu::visibility("default")]] pipe_result receive_until(const shared_descriptor& socket, pipe_message& m,
                                                         time_point deadline);
/// False: the end.
[[gnu::visibility("default")]] task<bool> receive_message(shared_descriptor socket, pipe_message& m);
/// Which of several can be received from, or is at its end; `count` when the deadline has passed. Begins to
/// look at another one each time.
[[gnu::visibility("default")]] std::size_t wait_for_one_until(std::span<const shared_descriptor> sockets,
                                                              time_point deadline);
[[gnu::visibility("default")]] task<std::size_t> wait_for_one(std::vector<shared_descriptor> sockets);
[[noreturn, gnu::visibility("default")]] void throw_pipe_closed();
[[noreturn, gnu::visibility("default")]] void throw_receive_none();
[[gnu::visibility("default")]] bool can_receive_until(const shared_descriptor& socket, time_point deadline);

// A process channel's sending end: the same, but for how many messages may be in it.
struct channel_end {
    shared_descriptor socket;
    std::uint32_t capacity = 0;
    std::uint32_t cost = 0; // of each of its packets in the socket's buffer
};
[[gnu::visibility("default")]] pipe_result send_now(const channel_end& end, pipe_message& m);
[[gnu::visibility("default")]] pipe_result send_until(const channel_end& end, pipe_message& m,
                                                      time_point deadline);
[[gnu::visibility("default")]] task<void> send_message(channel_end end, pipe_message m);

inline constexpr packet_room channel_room{448, true};
inline packet_room room_of(const shared_descriptor&) noexcept { return pipe_room; }
inline packet_room room_of(const channel_end&) noexcept { return channel_room; }

/// What can be done at a sending end, which is a shared_descriptor or a channel_end.
template <class End, class T>
class pipe_sending {
    friend End; // nobody else is one
    pipe_sending() noexcept = default;

  public:
    /// Waits while the pipe is full. The message is encoded at the call, and what its serialiser throws comes
    /// from there.
    [[nodiscard]] task<void> send(const T& x) const { return send_message(end(), encoded(x)); }
    /// A handle that is moved into a pipe is the receiver's: this process keeps no copy.
    [[nodiscard]] task<void> send(T&& x) const {
        auto sent = send_message(end(), encoded(x));
        give_up<T>(x);
        return sent;
    }
    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    void send_blocking(const T& x) const {
        pipe_message m = encoded(x);
        if (send_until(end(), m, time_point::max()) == pipe_result::closed) throw_pipe_closed();
    }
    void send_blocking(T&& x) const {
        send_blocking(std::as_const(x));
        give_up<T>(x);
    }
    /// For at most `d`; then `full`.
    template <class Rep, class Period>
    [[nodiscard]] send_status send_blocking_for(const T& x, std::chrono::duration<Rep, Period> d) const {
        pipe_message m = encoded(x);
        return status_of(send_until(end(), m, deadline_in(d)));
    }
    /// Without a wait.
    [[nodiscard]] send_status try_send(const T& x) const {
        pipe_message m = encoded(x);
        return status_of(send_now(end(), m));
    }

    /// Waits until there is room for one, and sends as many of `items` as fit, in order. Returns how many;
    /// the rest is still the caller's, and so is one that cannot be serialised, which the next call will
    /// throw for.
    [[nodiscard]] task<std::size_t> send_many(std::span<const T> items) const {
        return send_some(end(), items);
    }
    std::size_t send_many_blocking(std::span<const T> items) const {
        if (items.empty()) return 0;
        send_blocking(items.front());
        return 1 + send_more(end(), items.subspan(1));
    }
    /// For at most `d`; then 0.
    template <class Rep, class Period>
    [[nodiscard]] std::size_t send_many_blocking_for(std::span<const T> items,
                                                     std::chrono::duration<Rep, Period> d) const {
        return items.empty() ? 0 : send_rest(send_blocking_for(items.front(), d), items);
    }
    /// Without a wait: as many as there is room for.
    [[nodiscard]] std::size_t try_send_many(std::span<const T> items) const {
        return items.empty() ? 0 : send_rest(try_send(items.front()), items);
    }

  private:
    const auto& end() const { return static_cast<const End&>(*this).sends_at(); }
    template <class Where>
    static task<std::size_t> send_some(Where where, std::span<const T> items) {
        if (items.empty()) co_return 0;
        pipe_message first = encode_message(items.front(), room_of(where));
        co_await send_message(where, std::move(first));
        co_return 1 + send_more(where, items.subspan(1));
    }
    std::size_t send_rest(send_status first, std::span<const T> items) const {
        if (first == send_status::closed) throw_pipe_closed();
        return first == send_status::sent ? 1 + send_more(end(), items.subspan(1)) : 0;
    }
    template <class Where>
    static std::size_t send_more(const Where& where, std::span<const T> items) noexcept {
        std::size_t sent = 0;
        try {
            for (const T& x : items) {
                pipe_message m = encode_message(x, room_of(where));
                if (send_now(where, m) != pipe_result::done) break;
                ++sent;
            }
        } catch (...) {
            return sent;
        }
        return sent;
    }
    pipe_message encoded(const T& x) const { return encode_message(x, room_of(end())); }
    static send_status status_of(pipe_result r) noexcept {
        return r == pipe_result::done      ? send_status::sent
               : r == pipe_result::nothing ? send_status::full
                                           : send_status::closed;
    }
};

/// What can be done at a receiving end.
template <class End, class T>
class pipe_receiving {
    friend End; // nobody else is one
    pipe_receiving() noexcept = default;

  public:
    /// Waits for a message: empty once all sending ends are closed, or their processes dead, and all that was
    /// sent has been received.
    [[nodiscard]] task<std::optional<T>> receive() const { return receive_from(socket()); }
    /// The same from a thread, which sleeps meanwhile. On a loop: logic_error.
    std::optional<T> receive_blocking() const {
        pipe_message m;
        std::optional<T> item;
        if (receive_until(socket(), m, time_point::max()) == pipe_result::done)
            item.emplace(decode_message<T>(std::move(m)));
        return item;
    }
    /// For at most `d`; then it is empty, and not closed.
    template <class Rep, class Period>
    received<T> receive_blocking_for(std::chrono::duration<Rep, Period> d) const {
        pipe_message m;
        const auto deadline = deadline_in(d);
        const pipe_result r = receive_until(socket(), m, deadline);
        return result_of(r, std::move(m));
    }
    received<T> try_receive() const {
        pipe_message m;
        const pipe_result r = receive_now(socket(), m);
        return result_of(r, std::move(m));
    }
    /// Waits for a message and takes what is there, at most `most`: empty at the end.
    [[nodiscard]] task<std::vector<T>> receive_many(std::size_t most) const {
        check_most(most);
        return receive_some(socket(), most);
    }
    std::vector<T> receive_many_blocking(std::size_t most) const {
        check_most(most);
        std::vector<T> items;
        if (std::optional<T> first = receive_blocking()) {
            items.push_back(std::move(*first));
            take_more(socket(), items, most);
        }
        return items;
    }
    /// For at most `d`; then it is empty, and not closed.
    template <class Rep, class Period>
    received<std::vector<T>> receive_many_blocking_for(std::size_t most,
                                                       std::chrono::duration<Rep, Period> d) const {
        check_most(most);
        return with_more(receive_blocking_for(d), most);
    }
    /// Without a wait.
    received<std::vector<T>> try_receive_many(std::size_t most) const {
        check_most(most);
        return with_more(try_receive(), most);
    }
    /// Would a receive find a message, or the end, within `d`? Takes nothing.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_blocking_for(std::chrono::duration<Rep, Period> d) const {
        return can_receive_until(socket(), deadline_in(d));
    }

  private:
    const shared_descriptor& socket() const { return static_cast<const End&>(*this).receives_at(); }
    static received<T> result_of(pipe_result r, pipe_message m) {
        std::optional<T> item;
        if (r == pipe_result::done) item.emplace(decode_message<T>(std::move(m)));
        return {std::move(item), r == pipe_result::closed};
    }
    static void check_most(std::size_t most) {
        if (most == 0) throw_receive_none();
    }
    received<std::vector<T>> with_more(received<T> first, std::size_t most) const {
        if (!first) return {std::nullopt, first.closed()};
        std::vector<T> items;
        items.push_back(*std::move(first));
        take_more(socket(), items, most);
        return {std::move(items), false};
    }
    static task<std::vector<T>> receive_some(shared_descriptor socket, std::size_t most) {
        pipe_message m;
        std::vector<T> items;
        const bool got = co_await receive_message(socket, m);
        if (got) {
            items.push_back(decode_message<T>(std::move(m)));
            take_more(socket, items, most);
        }
        co_return items;
    }
    /// A message that cannot be read is lost, as with `receive`; but not those before it.
    static void take_more(const shared_descriptor& socket, std::vector<T>& items, std::size_t most) noexcept {
        try {
            while (items.size() < most) {
                pipe_message m;
                if (receive_now(socket, m) != pipe_result::done) return;
                items.push_back(decode_message<T>(std::move(m)));
            }
        } catch (...) {
            return;
        }
    }
    static task<std::optional<T>> receive_from(shared_descriptor socket) {
        pipe_message m;
        std::optional<T> item;
        const bool got = co_await receive_message(std::move(socket), m);
        if (got) item.emplace(decode_message<T>(std::move(m)));
        co_return item;
    }
};

} // namespace plait::detail
