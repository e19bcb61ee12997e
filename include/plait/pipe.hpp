// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/pipe_core.hpp>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace plait {

template <class T>
class pipe_sender;
template <class T>
class pipe_receiver;
template <class T>
class process_channel;
namespace detail {
struct pipe_access;
}

/// One end of a connection between processes, for messages of a type: what is sent at the one end is received
/// at the other.
///
///     auto [here, there] = plait::pipe<request, reply>::pair();   // both directions
///     auto served = pool.submit(answer_all, std::move(there)); // void(plait::pipe<reply, request>)
///     here.send_blocking(request{"resize", 7});
///     std::optional<reply> answer = here.receive_blocking();      // empty: the other end is gone
///
///     auto [out, in] = plait::pipe<int>::one_way();               // pipe_sender<int>, pipe_receiver<int>
///     auto done = pool.submit(count_up, std::move(out));    // void count_up(plait::pipe_sender<int>)
///     while (auto n = in.receive_blocking()) use(*n);
///
/// Ends are handles: a copy is the same end, also in another process, where it comes as an argument, inside
/// of a struct, or through another pipe. An end is closed when its last copy has gone, with the process that
/// held it if need be, whatever killed that; so do not keep a copy of an end that you have given away:
/// `std::move` it, which takes yours.
///
/// A full pipe (some 200 KB, or three messages of more than 64 KB) makes its senders wait.
///
/// T:             sendable; handles too.
/// Threads:       const members from any thread, in any process, at once: messages stay whole, and each is
///                received once. One object's own copying, moving and closing from one thread at a time.
/// Order:         first in, first out per sender.
/// Cancellation:  a cancelled `send` has not sent, a cancelled `receive` has taken nothing (pipe_tasks_test,
///                ACancelled...). The blocking forms are not cancellable.
/// Errors:        sending when the other end is gone throws closed_error, or one message's timed and `try_`
///                forms return `closed`; never SIGPIPE. Receiving finds what was sent, and then the end; never
///                half a message. What a serialiser throws comes from `send`, and nothing is sent. An end that
///                was moved from, or closed: logic_error. A `most` of 0: invalid_argument.
/// Cost:          a system call for a message of up to 64 KB; beyond that, memory of its own is filled, sent
///                by descriptor and read in place.
template <class T, class U = T>
class pipe : public detail::pipe_sending<pipe<T, U>, T>, public detail::pipe_receiving<pipe<T, U>, U> {
    static_assert(sendable<T> && sendable<U>,
                  "plait: a pipe's messages must be sendable: no pointers, views, references or locks");

  public:
    using sent_type = T;
    using value_type = U;

    /// Holds nothing.
    pipe() noexcept = default;

    /// Two connected ends: what the first one sends, the second one receives, and the other way round.
    [[nodiscard]] static std::pair<pipe<T, U>, pipe<U, T>> pair() {
        detail::pipe_ends ends = detail::make_pipe_ends(true);
        return {pipe<T, U>{std::move(ends.one)}, pipe<U, T>{std::move(ends.other)}};
    }
    /// One direction only.
    [[nodiscard]] static std::pair<pipe_sender<T>, pipe_receiver<T>> one_way() {
        detail::pipe_ends ends = detail::make_pipe_ends(false);
        return {pipe_sender<T>{std::move(ends.one)}, pipe_receiver<T>{std::move(ends.other)}};
    }

    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    /// Gives up this handle; the end is closed with its last one.
    void close() noexcept { socket_ = {}; }

  private:
    template <class A, class B>
    friend class pipe;
    template <class End, class V>
    friend class detail::pipe_sending;
    template <class End, class V>
    friend class detail::pipe_receiving;
    friend struct detail::handle_access;
    friend struct detail::pipe_access;
    explicit pipe(detail::shared_descriptor s) noexcept : socket_{std::move(s)} {}
    const detail::shared_descriptor& sends_at() const noexcept { return socket_; }
    const detail::shared_descriptor& receives_at() const noexcept { return socket_; }
    void save_handle(detail::byte_writer& out) const { detail::put_descriptor(out, socket_); }
    static pipe load_handle(detail::byte_reader& in) { return pipe{detail::take_descriptor(in)}; }
    detail::shared_descriptor socket_;
};

/// The end of a one-way pipe that sends; see pipe.
///
/// Cancellation:  a cancelled `send` has not sent (pipe_tasks_test, ACancelledSend...).
template <class T>
class pipe_sender : public detail::pipe_sending<pipe_sender<T>, T> {
  public:
    using sent_type = T;
    pipe_sender() noexcept = default;
    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    void close() noexcept { socket_ = {}; }

  private:
    template <class A, class B>
    friend class pipe;
    template <class End, class V>
    friend class detail::pipe_sending;
    friend struct detail::handle_access;
    explicit pipe_sender(detail::shared_descriptor s) noexcept : socket_{std::move(s)} {}
    const detail::shared_descriptor& sends_at() const noexcept { return socket_; }
    void save_handle(detail::byte_writer& out) const { detail::put_descriptor(out, socket_); }
    static pipe_sender load_handle(detail::byte_reader& in) {
        return pipe_sender{detail::take_descriptor(in)};
    }
    detail::shared_descriptor socket_;
};

/// The end of a one-way pipe that receives, see pipe, or one of a process_channel's receivers.
///
/// Cancellation:  a cancelled `receive` has taken nothing (pipe_tasks_test, ACancelledReceive...).
template <class T>
class pipe_receiver : public detail::pipe_receiving<pipe_receiver<T>, T> {
  public:
    using value_type = T;
    pipe_receiver() noexcept = default;
    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    void close() noexcept { socket_ = {}; }

  private:
    template <class A, class B>
    friend class pipe;
    friend process_channel<T>; // whose receivers these are as well
    template <class End, class V>
    friend class detail::pipe_receiving;
    friend struct detail::handle_access;
    friend struct detail::pipe_access;
    explicit pipe_receiver(detail::shared_descriptor s) noexcept : socket_{std::move(s)} {}
    const detail::shared_descriptor& receives_at() const noexcept { return socket_; }
    void save_handle(detail::byte_writer& out) const { detail::put_descriptor(out, socket_); }
    static pipe_receiver load_handle(detail::byte_reader& in) {
        return pipe_receiver{detail::take_descriptor(in)};
    }
    detail::shared_descriptor socket_;
};

template <class T, class U>
inline constexpr bool detail::is_handle<pipe<T, U>> = true;
template <class T>
inline constexpr bool detail::is_handle<pipe_sender<T>> = true;
template <class T>
inline constexpr bool detail::is_handle<pipe_receiver<T>> = true;

namespace detail {

struct pipe_access {
    template <class End>
    static const shared_descriptor& socket(const End& end) noexcept {
        return end.receives_at();
    }
    template <class Range>
    static std::vector<shared_descriptor> sockets(const Range& ends) {
        std::vector<shared_descriptor> all;
        for (const auto& end : ends) all.push_back(socket(end));
        return all;
    }
};

template <class End>
concept pipe_receiving_end = is_handle<End> && requires(const End& e) {
    typename End::value_type;
    e.try_receive();
};
template <class Range>
concept pipe_range = requires(const Range& r) {
    r.begin();
    r.size();
    requires pipe_receiving_end<std::remove_cvref_t<decltype(*r.begin())>>;
};

} // namespace detail

/// What came from which of several pipes.
template <class T>
struct from_pipe {
    std::size_t index = 0; ///< the pipe's place in the range
    std::optional<T> item; ///< empty: that pipe is at its end; leave it out next time
};

/// Waits for a message, or the end, of any of several pipes, and takes it from that one.
///
///     std::vector<plait::pipe_receiver<std::string>> from_workers;
///     while (!from_workers.empty()) {
///         auto got = plait::select_blocking(from_workers);
///         if (got.item) use(*got.item);
///         else from_workers.erase(from_workers.begin() + static_cast<std::ptrdiff_t>(got.index));
///     }
///
/// Begins with another one each time, so that none starves the others.
///
/// Cancellation:  of `select`: nothing was taken (pipe_tasks_test, ACancelledReceive...).
/// Errors:        an empty range: invalid_argument.
template <detail::pipe_range Pipes>
auto select_blocking(const Pipes& pipes) {
    using end = std::remove_cvref_t<decltype(*pipes.begin())>;
    const auto sockets = detail::pipe_access::sockets(pipes);
    for (;;) {
        const std::size_t i = detail::wait_for_one_until(sockets, detail::time_point::max());
        auto got = (pipes.begin() + static_cast<std::ptrdiff_t>(i))->try_receive();
        if (got) return from_pipe<typename end::value_type>{i, std::move(*got)};
        if (got.closed()) return from_pipe<typename end::value_type>{i, std::nullopt};
    } // else another thread or process was faster
}
template <detail::pipe_range Pipes>
auto select(const Pipes& pipes)
    -> task<from_pipe<typename std::remove_cvref_t<decltype(*pipes.begin())>::value_type>> {
    using end = std::remove_cvref_t<decltype(*pipes.begin())>;
    std::vector<end> ends(pipes.begin(), pipes.end());
    for (;;) {
        const std::size_t i = co_await detail::wait_for_one(detail::pipe_access::sockets(ends));
        auto got = ends[i].try_receive();
        if (got) co_return from_pipe<typename end::value_type>{i, std::move(*got)};
        if (got.closed()) co_return from_pipe<typename end::value_type>{i, std::nullopt};
    }
}

/// The same for pipes of different types: the index says which it was.
template <detail::pipe_receiving_end... Ends>
    requires(sizeof...(Ends) > 1)
task<std::variant<std::optional<typename Ends::value_type>...>> select(Ends... ends) {
    using result = std::variant<std::optional<typename Ends::value_type>...>;
    std::vector<detail::shared_descriptor> sockets;
    (sockets.push_back(detail::pipe_access::socket(ends)), ...);
    for (;;) {
        const std::size_t which = co_await detail::wait_for_one(sockets);
        std::optional<result> got;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (([&] {
                 if (I != which) return;
                 auto item = ends.try_receive();
                 if (item)
                     got.emplace(std::in_place_index<I>, std::move(*item));
                 else if (item.closed())
                     got.emplace(std::in_place_index<I>, std::nullopt);
             }()),
             ...);
        }(std::index_sequence_for<Ends...>{});
        if (got) co_return std::move(*got);
    }
}

} // namespace plait
