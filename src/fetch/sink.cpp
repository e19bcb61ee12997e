// SPDX-License-Identifier: Apache-2.0
#include "fetch/sink.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "http/escape.hpp"
#include "sys/errors.hpp"
#include <plait/fetch.hpp>

namespace plait::fetch {
namespace {

using http::detail::escape;
using plait::detail::errno_text;

void write_temporary_name(char (&out)[40], std::uint64_t hash) noexcept {
    std::snprintf(out, sizeof out, ".plait-%016llx.part", static_cast<unsigned long long>(hash));
}

std::string temporary_name(std::uint64_t hash) {
    char text[40];
    write_temporary_name(text, hash);
    return text;
}

[[noreturn]] void fail(const char* attempted, const std::string& name, const directory* place, int error) {
    std::string text = std::string{attempted} + ' ' + escape(name);
    if (place != nullptr) text += " in " + escape(place->path());
    throw disk_error(text + ": " + errno_text(error), error);
}

/// Makes the directory and what is missing above it.
int make_path(const std::string& path) {
    for (std::size_t at = 1; at <= path.size(); ++at) {
        if (at != path.size() && path[at] != '/') continue;
        if (::mkdir(path.substr(0, at).c_str(), 0777) == 0 || errno == EEXIST || errno == EISDIR) continue;
        if (at == path.size() || errno != EROFS) return errno;
    }
    return 0;
}

/// By the descriptor itself if we may (Linux 6.10, or a capability), else by way of /proc, which costs more.
int give_name(int fd, const directory& place, const std::string& name) noexcept {
    if (::linkat(fd, "", place.descriptor(), name.c_str(), AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOENT) return errno;
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const bool done = ::linkat(AT_FDCWD, path, place.descriptor(), name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    return done ? 0 : errno;
}

} // namespace

blame blame_for(int error) noexcept {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENODEV:
    case ESTALE:
        return blame::run;
    default:
        return blame::item;
    }
}

disk_error::disk_error(const std::string& what, int error) : std::runtime_error(what), error_(error) {}

directory::directory(const std::string& path) : path_(path.empty() ? "." : path) {
    const auto refuse = [&](const char* what, int error) {
        throw run_error(what + (" the directory " + escape(path_)) + ": " + errno_text(error) +
                        "; give another one with --dir");
    };
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd_ && errno == ENOENT) {
        if (const int error = make_path(path_); error != 0) refuse("cannot make", error);
        fd_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    if (!fd_) refuse("cannot open", errno);
    if (::faccessat(fd_.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) refuse("cannot write to", errno);
}

bool directory::has(const std::string& name) const {
    struct stat info{};
    return ::fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

std::uint64_t directory::arrived(std::uint64_t hash) const noexcept {
    struct stat info{};
    char name[40];
    write_temporary_name(name, hash);
    const bool there = ::fstatat(fd_.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    return there ? static_cast<std::uint64_t>(info.st_size) : 0;
}

void directory::look_around() {
    constexpr std::size_t most_kept = 4096;
    constexpr std::size_t most_read = 100'000; // a larger one is not read to its end
    const int copy = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const all = copy >= 0 ? ::fdopendir(copy) : nullptr;
    if (all == nullptr && copy >= 0) (void)::close(copy);
    bool whole = false;
    bool leftovers = false;
    for (std::size_t seen = 0; all != nullptr && seen <= most_read && !leftovers; ++seen) {
        errno = 0;
        const dirent* const entry = ::readdir(all);
        whole = entry == nullptr && errno == 0;
        if (entry == nullptr) break;
        const std::string_view name{entry->d_name};
        leftovers = name.starts_with(".plait-") && name.ends_with(".part");
        if (names_.size() <= most_kept) names_.emplace_back(name);
    }
    if (all != nullptr) (void)::closedir(all);
    std::sort(names_.begin(), names_.end());
    names_known_ = whole && names_.size() <= most_kept;
    if (!whole || leftovers) take_named_only();
}

bool directory::may_have(const std::string& name) const noexcept {
    return !names_known_ || std::binary_search(names_.begin(), names_.end(), name);
}

sink::sink(sink&& other) noexcept
    : place_(std::exchange(other.place_, nullptr)),
      fd_(std::move(other.fd_)),
      temporary_(std::move(other.temporary_)),
      written_(std::exchange(other.written_, 0)) {}

sink& sink::operator=(sink&& other) noexcept {
    if (this != &other) {
        drop();
        place_ = std::exchange(other.place_, nullptr);
        fd_ = std::move(other.fd_);
        temporary_ = std::move(other.temporary_);
        written_ = std::exchange(other.written_, 0);
    }
    return *this;
}

sink::~sink() { drop(); }

bool sink::open(const directory& place, std::uint64_t hash) {
    drop();
    std::string name = temporary_name(hash);
    temporary_ = name;
    constexpr int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    // Between two looks a holder may finish: its file goes, and the name is free. A few rounds settle it.
    for (int round = 0; round < 16; ++round) {
        fd_.reset(::openat(place.descriptor(), name.c_str(), flags | O_CREAT | O_EXCL, 0666));
        if (fd_) {
            if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
                place_ = &place;
                written_ = 0;
                return true;
            }
            continue; // somebody took it over within this moment
        }
        if (errno != EEXIST) fail("cannot create", name, &place, errno);
        fd_.reset(::openat(place.descriptor(), name.c_str(), flags));
        if (!fd_ && errno == ENOENT) continue;
        if (!fd_) fail("cannot take over", name, &place, errno);
        if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
            fd_.reset();
            return false;
        }
        if (take_over(place)) return true;
    }
    fd_.reset();
    return false;
}

/// The lock is ours. The name must still mean this file, and it must be one that we may empty.
bool sink::take_over(const directory& place) {
    struct stat ours{};
    struct stat named{};
    if (::fstat(fd_.get(), &ours) != 0) fail("cannot look at", temporary_, &place, errno);
    if (!S_ISREG(ours.st_mode) || ours.st_nlink > 1 || ours.st_uid != ::geteuid()) { // another's stays his
        fd_.reset();
        fail("cannot take over", temporary_, &place, EEXIST);
    }
    if (::fstatat(place.descriptor(), temporary_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) {
        fd_.reset();
        return false;
    }
    place_ = &place;
    if (::ftruncate(fd_.get(), 0) != 0) fail("cannot empty", temporary_, &place, errno);
    written_ = 0;
    return true;
}

void sink::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
        if (done < 0) {
            if (errno == EINTR) continue;
            fail("cannot write to", temporary_.empty() ? "a new file" : temporary_, place_, errno);
        }
        written_ += static_cast<std::uint64_t>(done);
        bytes.remove_prefix(static_cast<std::size_t>(done));
    }
}

sink::result sink::commit(const std::string& name, overwriting mode) {
    const int place = place_->descriptor();
    const auto moved = [&] {
        if (mode == overwriting::no)
            return ::renameat2(place, temporary_.c_str(), place, name.c_str(), RENAME_NOREPLACE);
        return ::renameat(place, temporary_.c_str(), place, name.c_str());
    };
    if (moved() != 0) {
        int error = errno;
        if (mode == overwriting::no && (error == EINVAL || error == ENOSYS)) {
            // A file system without RENAME_NOREPLACE: a hard link never replaces anything either.
            if (::linkat(place, temporary_.c_str(), place, name.c_str(), 0) == 0) {
                drop();
                return result::placed;
            }
            error = errno;
        }
        if (error == EEXIST || error == EISDIR || error == ENOTEMPTY) {
            drop();
            return result::exists;
        }
        const directory* const where = place_;
        drop();
        fail("cannot put in place", name, where, error);
    }
    fd_.reset();
    place_ = nullptr;
    return result::placed;
}

sink::linked sink::link_unnamed(const directory& place, std::string_view bytes, const std::string& name) {
    temporary_.clear();
    fd_.reset(::openat(place.descriptor(), ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666));
    if (!fd_) {
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
            fail("cannot create", name, &place, errno);
        place.take_named_only();
        return linked::impossible;
    }
    place_ = &place;
    written_ = 0;
    write(bytes);
    const int error = give_name(fd_.get(), place, name);
    drop();
    if (error == 0) return linked::yes;
    if (error == EEXIST) return linked::exists;
    if (blame_for(error) == blame::run) fail("cannot put in place", name, &place, error);
    place.take_named_only(); // no /proc, or no links
    return linked::impossible;
}

sink::result sink::place(const directory& place, std::uint64_t hash, std::string_view bytes,
                         const std::string& name, overwriting mode) {
    if (place.takes_unnamed() && (mode == overwriting::no || !place.has(name))) {
        const linked how = link_unnamed(place, bytes, name);
        if (how == linked::yes) return result::placed;
        if (how == linked::exists && mode == overwriting::no) return result::exists;
    }
    if (!open(place, hash)) return result::held;
    write(bytes);
    return commit(name, mode);
}

void sink::drop() noexcept {
    if (place_ != nullptr && fd_ && !temporary_.empty())
        (void)::unlinkat(place_->descriptor(), temporary_.c_str(), 0);
    fd_.reset();
    place_ = nullptr;
}

} // namespace plait::fetch
