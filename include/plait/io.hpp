// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <plait/detail/context.hpp>
#include <plait/task.hpp>
#include <span>
#include <string>
#include <utility>

namespace plait {

namespace detail {

class stream;
class open_file;

/// A task's wait on a socket. It lies in the waiting coroutine's frame, and the socket points to it.
class [[gnu::visibility("default")]] transfer : public waiter {
  public:
    /// Bits: 4 waits to write, 1 for all its bytes.
    enum class kind : unsigned char {
        read = 0,
        read_exactly = 1,
        accept = 2,
        write = 4,
        write_all = 5,
        connect = 6
    };

    transfer(stream* s, kind k, void* data, std::size_t size) noexcept
        : stream_{s}, data_{static_cast<std::byte*>(data)}, size_{size}, kind_{k} {}
    transfer(transfer&& other) noexcept // before it is awaited
        : transfer{other.stream_, other.kind_, other.data_, other.size_} {}

    bool await_ready() const noexcept { return false; }
    // What await_suspend does, by kind: all in one step, under one lock, it tries, and waits only if there is
    // nothing to be had.
    bool read_or_wait(std::coroutine_handle<> h) noexcept;
    bool write_or_wait(std::coroutine_handle<> h) noexcept;
    bool accept_or_wait(std::coroutine_handle<> h) noexcept;
    bool connect_or_wait(std::coroutine_handle<> h) noexcept;

    bool writes() const noexcept { return (static_cast<unsigned>(kind_) & 4U) != 0; }
    bool whole() const noexcept { return (static_cast<unsigned>(kind_) & 1U) != 0; }
    /// The result is in hand, whatever cancels it now.
    bool over() const noexcept { return error_ != unfinished; }

    // The stream's, under its lock, while this is linked there.
    using waiter::arm_done;
    using waiter::arm_pending;
    using waiter::complete_pending;
    using waiter::note;
    using waiter::noted;
    stream* stream_;
    std::byte* data_;
    std::size_t size_;
    std::size_t done_ = 0; // bytes moved; of `accept` the descriptor
    static constexpr int unfinished = -1;
    int error_ = unfinished; // 0, an errno, or one of stream's own
    kind kind_;
    bool holds_ = false; // a share of the stream

  protected:
    ~transfer() = default;
    /// In `await_resume`: bytes moved; throws what went wrong.
    std::size_t finish() {
        if (error_ != 0) fail();
        if (holds_) give_back();
        return done_;
    }
    /// The same, but an errno stays in `error_`.
    void finish_quietly();

  private:
    bool withdraw() noexcept override;
    void unlink() noexcept override;
    void give_back() noexcept;
    [[noreturn]] void fail();
    [[noreturn]] void throw_error();
};

template <class Result>
class [[nodiscard]] read_transfer final : public transfer {
  public:
    using transfer::transfer;
    bool await_suspend(std::coroutine_handle<> h) noexcept { return read_or_wait(h); }
    Result await_resume() { return static_cast<Result>(finish()); }
};

template <class Result>
class [[nodiscard]] write_transfer final : public transfer {
  public:
    using transfer::transfer;
    bool await_suspend(std::coroutine_handle<> h) noexcept { return write_or_wait(h); }
    Result await_resume() { return static_cast<Result>(finish()); }
};

} // namespace detail

/// Sockets and files for coroutines.
namespace io {

/// A connected stream socket: TCP or Unix.
///
///     plait::task<void> echo(plait::io::socket peer) {
///         std::array<std::byte, 4096> buffer;
///         while (std::size_t n = co_await peer.read(buffer))
///             co_await peer.write_all(std::span{buffer}.first(n));
///     }
///
/// It is watched by the loop of the task that first uses it (for a task of a pool by the pool's keeper) with
/// one registration for its life. Time limits come from `plait::timeout`. Nagle's delay is off.
///
/// Threads:       any member from any thread, but one reader and one writer at a time.
/// Cancellation:  each wait throws `cancelled`, at once (test C20). A cancelled `read` has taken nothing; a
///                cancelled `read_exactly`, `write` or `write_all` may have moved some of its bytes.
/// Errors:        closed_error if this side has closed it, or the other side is gone while there is something
///                to write or to be read exactly; std::system_error for the rest; logic_error for a second
///                reader.
/// Cost:          no allocation; one system call if it need not wait. After 128 awaits that need not wait the
///                task gives way to the others (test C28).
class [[gnu::visibility("default")]] socket {
  public:
    socket() noexcept = default;
    socket(socket&& other) noexcept : stream_{std::exchange(other.stream_, nullptr)} {}
    socket& operator=(socket&& other) noexcept {
        socket taken{std::move(other)};
        std::swap(stream_, taken.stream_);
        return *this;
    }
    ~socket();

    /// Does it hold a connection that this side has not closed?
    bool is_open() const noexcept;

    /// What is there, at least one byte; 0 when the other side has ended.
    auto read(std::span<std::byte> into) noexcept {
        return detail::read_transfer<std::size_t>{stream_, detail::transfer::kind::read, into.data(),
                                                  into.size()};
    }
    /// Fills `into`; closed_error if the other side ends before.
    auto read_exactly(std::span<std::byte> into) noexcept {
        return detail::read_transfer<void>{stream_, detail::transfer::kind::read_exactly, into.data(),
                                           into.size()};
    }
    /// As much as fits now, at least one byte; returns how much.
    auto write(std::span<const std::byte> from) noexcept {
        return detail::write_transfer<std::size_t>{stream_, detail::transfer::kind::write, mutable_data(from),
                                                   from.size()};
    }
    auto write_all(std::span<const std::byte> from) noexcept {
        return detail::write_transfer<void>{stream_, detail::transfer::kind::write_all, mutable_data(from),
                                            from.size()};
    }

    /// Tells the other side that nothing more comes; reading goes on.
    void shutdown_write();
    /// Ends it; whoever waits on it gets closed_error. Idempotent.
    void close() noexcept;

    /// 0 for a Unix socket.
    std::uint16_t local_port() const;
    /// "127.0.0.1:4711", "[::1]:4711", or "unix".
    std::string peer() const;

  private:
    friend struct socket_access;
    explicit socket(detail::stream* s) noexcept : stream_{s} {}
    static void* mutable_data(std::span<const std::byte> from) noexcept {
        // One pointer serves both directions; writing only reads it.
        return const_cast<std::byte*>(from.data());
    }
    detail::stream* stream_ = nullptr;
};

/// Takes connections.
///
///     plait::io::listener door = plait::io::listen("127.0.0.1", 8080);
///     for (;;) group.spawn(echo, co_await door.accept());
///
/// Threads:       as socket's; one `accept` at a time.
/// Cancellation:  `accept` throws `cancelled` and has taken no connection (test C20).
/// Errors:        closed_error once closed. Out of descriptors, it waits until there are some, looking 10
///                times a second, rather than fail or spin.
class [[gnu::visibility("default")]] listener {
  public:
    listener() noexcept = default;
    listener(listener&& other) noexcept : stream_{std::exchange(other.stream_, nullptr)} {}
    listener& operator=(listener&& other) noexcept {
        listener taken{std::move(other)};
        std::swap(stream_, taken.stream_);
        return *this;
    }
    ~listener();

    task<socket> accept();

    /// The port it was given, if it asked for 0.
    std::uint16_t local_port() const;
    bool is_open() const noexcept;
    /// Whoever waits in `accept` gets closed_error. Idempotent.
    void close() noexcept;

  private:
    friend struct socket_access;
    explicit listener(detail::stream* s) noexcept : stream_{s} {}
    detail::stream* stream_ = nullptr;
};

struct listen_options {
    int backlog = 4096;
    /// Several listeners on one port share its connections (SO_REUSEPORT): one for each loop.
    bool share_port = false;
};

/// A TCP listener on a numeric address, IPv4 or IPv6; port 0 lets the system choose. Does not block.
/// Errors:  invalid_argument if `address` is not numeric; std::system_error.
[[nodiscard, gnu::visibility("default")]] listener listen(const std::string& address, std::uint16_t port,
                                                          listen_options options = {});
/// A Unix listener. A leftover of a server that is gone is replaced; the path is not removed at the end.
[[nodiscard, gnu::visibility("default")]] listener listen_unix(const std::string& path,
                                                               listen_options options = {});

/// Connects to a numeric address. For names: `offload` a getaddrinfo.
/// Cancellation:  at once; the attempt is given up (test C20).
/// Errors:        invalid_argument if `address` is not numeric; std::system_error, such as ECONNREFUSED.
[[nodiscard, gnu::visibility("default")]] task<socket> connect(std::string address, std::uint16_t port);
[[nodiscard, gnu::visibility("default")]] task<socket> connect_unix(std::string path);

/// How a file is opened. By default for reading.
struct open_options {
    bool read = true;
    bool write = false;
    bool create = false; // if it is not there; takes `write`
    bool must_not_exist = false;
    bool truncate = false;
    unsigned permissions = 0666; // of a new file, less the umask
};

/// A file, read and written at offsets, so that any number of tasks may use it at once.
///
///     plait::io::file f = co_await plait::io::open("data.bin");
///     std::size_t n = co_await f.read_at(buffer, 4096);
///
/// What the page cache holds is copied at once, on the task's own thread; for the rest the call goes to
/// offload's threads (docs/decisions/0012-files-and-offload.md says why not io_uring).
///
/// Threads:       any member from any thread; `close` and destruction when nobody uses it.
/// Cancellation:  a wait that has reached a helper thread ends when the system call does; see `offload`
///                (io_file_test, C20_...).
/// Errors:        std::system_error with the path; closed_error after `close`.
/// Cost:          cached: one system call. Else a hand-over to another thread and back.
class [[gnu::visibility("default")]] file {
  public:
    file() noexcept = default;
    file(file&& other) noexcept : file_{std::exchange(other.file_, nullptr)} {}
    file& operator=(file&& other) noexcept {
        file taken{std::move(other)};
        std::swap(file_, taken.file_);
        return *this;
    }
    ~file() { close(); }

    bool is_open() const noexcept { return file_ != nullptr; }
    /// Fills `into` from there on; fewer bytes, or 0, only at the file's end.
    task<std::size_t> read_at(std::span<std::byte> into, std::uint64_t offset);
    /// Writes all of it.
    task<void> write_at(std::span<const std::byte> from, std::uint64_t offset);
    /// Waits until what was written is on the disk.
    task<void> sync();
    /// Bytes, now.
    std::uint64_t size() const;
    void close() noexcept;

  private:
    friend struct file_access;
    explicit file(detail::open_file* f) noexcept : file_{f} {}
    detail::open_file* file_ = nullptr;
};

/// Opens a file, on a helper thread: a path may lie on a sleeping disk.
/// Errors:  std::system_error with the path.
[[nodiscard, gnu::visibility("default")]] task<file> open(std::string path, open_options options = {});

/// Two sockets that are connected with each other.
[[nodiscard, gnu::visibility("default")]] std::pair<socket, socket> connected_pair();

} // namespace io
} // namespace plait
