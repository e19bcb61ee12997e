// SPDX-License-Identifier: Apache-2.0
#include "sys/errors.hpp"
#include "sys/unique_fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <plait/detail/atomic.hpp>
#include <plait/detail/context.hpp>
#include <plait/errors.hpp>
#include <plait/io.hpp>
#include <plait/offload.hpp>
#include <plait/time.hpp>
#include <sys/stat.h>
#include <sys/uio.h>

namespace plait {
namespace detail {

class open_file {
  public:
    open_file(unique_fd fd, std::string path) noexcept : fd_{std::move(fd)}, path_{std::move(path)} {}

    int descriptor() const noexcept { return fd_.get(); }
    const std::string& path() const noexcept { return path_; }

    /// Without waiting for a disk: bytes moved, perhaps fewer than asked for; 0 if that cannot be had.
    std::size_t read_now(std::span<std::byte> into, std::uint64_t offset) noexcept {
        const iovec v{into.data(), into.size()};
        return now([&] { return ::preadv2(fd_.get(), &v, 1, static_cast<off_t>(offset), RWF_NOWAIT); });
    }
    std::size_t write_now(std::span<const std::byte> from, std::uint64_t offset) noexcept {
        const iovec v{const_cast<std::byte*>(from.data()), from.size()}; // only read
        return now([&] { return ::pwritev2(fd_.get(), &v, 1, static_cast<off_t>(offset), RWF_NOWAIT); });
    }

  private:
    template <class Call>
    std::size_t now(Call call) noexcept {
        if (blocks_.load(order::relaxed) != 0) return 0;
        const ssize_t n = call();
        // Not every file system can say whether it would wait; then it is not asked again.
        if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS))
            blocks_.store(1, order::relaxed);
        return n > 0 ? static_cast<std::size_t>(n) : 0; // an error comes again, from the call that may wait
    }

    unique_fd fd_;
    std::string path_;
    atomic<std::uint32_t> blocks_{0}; // a hint: who overlooks it asks once more
};

} // namespace detail

namespace io {

struct file_access {
    static file make(detail::unique_fd fd, std::string path) {
        return file{new detail::open_file{std::move(fd), std::move(path)}};
    }
};

namespace {

detail::open_file& opened(detail::open_file* f) {
    if (!f) throw closed_error{"file: it is not open"};
    return *f;
}

[[noreturn]] void fail(int error, const char* attempted, const std::string& path) {
    detail::throw_errno(error, std::string{"file: cannot "} + attempted + " '" + path + "'");
}

// As read_at and write_at, waiting. Bytes moved, and an errno.
struct moved {
    std::size_t bytes = 0;
    int error = 0;
};

template <class Call>
moved move_all(std::size_t size, Call call) noexcept {
    moved m;
    while (m.bytes < size) {
        const ssize_t n = call(m.bytes);
        if (n == 0) break;
        if (n > 0)
            m.bytes += static_cast<std::size_t>(n);
        else if (errno != EINTR) {
            m.error = errno;
            break;
        }
    }
    return m;
}

int flags_of(const open_options& o) noexcept {
    int flags = O_CLOEXEC | (o.write ? (o.read ? O_RDWR : O_WRONLY) : O_RDONLY);
    if (o.create) flags |= O_CREAT;
    if (o.must_not_exist) flags |= O_EXCL;
    if (o.truncate) flags |= O_TRUNC;
    return flags;
}

std::uint64_t size_of(int fd) noexcept {
    struct stat s{};
    return ::fstat(fd, &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
}

} // namespace

task<file> open(std::string path, open_options options) {
    int error = 0;
    detail::unique_fd fd = co_await offload([&path, &options, &error] {
        detail::unique_fd f{::open(path.c_str(), flags_of(options), options.permissions)};
        error = f ? 0 : errno;
        return f;
    });
    if (!fd) fail(error, "open", path);
    co_return file_access::make(std::move(fd), std::move(path));
}

task<std::size_t> file::read_at(std::span<std::byte> into, std::uint64_t offset) {
    detail::open_file& f = opened(file_);
    detail::running_scope().check();
    const std::size_t n = f.read_now(into, offset);
    // All of it, or all there is: a short read at the end needs nobody to wait for a disk.
    if (n == into.size() || (n > 0 && offset + n >= size_of(f.descriptor()))) {
        if (!detail::spend_budget()) co_await yield();
        co_return n;
    }
    const moved rest = co_await offload([&f, into, offset, n] {
        return move_all(into.size() - n, [&](std::size_t done) {
            const auto left = into.subspan(n + done);
            return ::pread(f.descriptor(), left.data(), left.size(), static_cast<off_t>(offset + n + done));
        });
    });
    if (rest.error) fail(rest.error, "read", f.path());
    co_return n + rest.bytes;
}

task<void> file::write_at(std::span<const std::byte> from, std::uint64_t offset) {
    detail::open_file& f = opened(file_);
    detail::running_scope().check();
    const std::size_t n = from.empty() ? 0 : f.write_now(from, offset);
    if (n == from.size()) {
        if (!detail::spend_budget()) co_await yield();
        co_return;
    }
    const moved rest = co_await offload([&f, from, offset, n] {
        return move_all(from.size() - n, [&](std::size_t done) {
            const auto left = from.subspan(n + done);
            return ::pwrite(f.descriptor(), left.data(), left.size(), static_cast<off_t>(offset + n + done));
        });
    });
    if (rest.error) fail(rest.error, "write to", f.path());
}

task<void> file::sync() {
    detail::open_file& f = opened(file_);
    const int error = co_await offload([&f] { return ::fsync(f.descriptor()) == 0 ? 0 : errno; });
    if (error) fail(error, "sync", f.path());
}

std::uint64_t file::size() const {
    const detail::open_file& f = opened(file_);
    struct stat s{};
    if (::fstat(f.descriptor(), &s) != 0) fail(errno, "tell the size of", f.path());
    return static_cast<std::uint64_t>(s.st_size);
}

void file::close() noexcept { delete std::exchange(file_, nullptr); }

} // namespace io
} // namespace plait
