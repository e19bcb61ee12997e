// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sys/unique_fd.hpp"

namespace plait::fetch {

/// Whom a failure of the disk concerns: this file, or everything that is still to come.
enum class blame { item, run };

/// ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE, ENOMEM, ENOBUFS and ENODEV concern the run.
[[nodiscard]] blame blame_for(int error) noexcept;

class disk_error : public std::runtime_error {
  public:
    disk_error(const std::string& what, int error);
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] blame whose() const noexcept { return blame_for(error_); }

  private:
    int error_;
};

/// The directory that downloads go to; made if it is not there. Everything is opened below its descriptor, so
/// that nobody who renames it can send files elsewhere.
///
/// Errors:  the constructor throws run_error.
class directory {
  public:
    explicit directory(const std::string& path);
    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Anything in the place counts: a file, a directory, a FIFO, a link that points nowhere.
    [[nodiscard]] bool has(const std::string& name) const;
    /// How much of a download lies in its temporary file; 0 if there is none.
    [[nodiscard]] std::uint64_t arrived(std::uint64_t hash) const noexcept;

    /// Reads it, once, before the work begins: what was there then need not be asked again for each name.
    void look_around();
    /// False if the name was free when we looked around: a name that has been taken since is found by
    /// commit().
    [[nodiscard]] bool may_have(const std::string& name) const noexcept;

    /// Whether a file can get its name only when it is whole, without a temporary one (O_TMPFILE and a link).
    /// Not on every file system, and not here if temporary files of other runs lie about: those are to be
    /// taken over, or are in use.
    [[nodiscard]] bool takes_unnamed() const noexcept { return unnamed_.load(std::memory_order_relaxed); }
    void take_named_only() const noexcept { unnamed_.store(false, std::memory_order_relaxed); }

  private:
    std::string path_;
    plait::detail::unique_fd fd_;
    std::vector<std::string> names_; // sorted
    bool names_known_ = false;
    mutable std::atomic<bool> unnamed_{true};
};

/// One file on its way: bytes go to `.plait-HASH.part`, and only commit() gives it its name; or, if they are
/// all there, place() writes a file without a name and gives it one.
///
/// What bears its final name is whole. The temporary name is fixed by the URL and the name, so that the next
/// run finds what a killed one left: it is locked while in use, and taken over and emptied when it is not.
///
/// Threads:  one at a time.
/// Errors:   open(), write(), commit() and place() throw disk_error; the destructor deletes what was not
///           committed.
class sink {
  public:
    enum class result { placed, exists, held };
    enum class overwriting { no, yes };

    sink() = default;
    sink(sink&& other) noexcept;
    sink& operator=(sink&& other) noexcept;
    ~sink();

    /// False if another process holds the temporary file: it is downloading the same.
    [[nodiscard]] bool open(const directory& place, std::uint64_t hash);
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(fd_); }
    void write(std::string_view bytes);
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
    [[nodiscard]] result commit(const std::string& name, overwriting mode);
    /// All of it at once; `held` as open() gives false. For one that is not open.
    [[nodiscard]] result place(const directory& place, std::uint64_t hash, std::string_view bytes,
                               const std::string& name, overwriting mode);
    /// Deletes the temporary file.
    void drop() noexcept;

  private:
    enum class linked { yes, exists, impossible };
    [[nodiscard]] linked link_unnamed(const directory& place, std::string_view bytes,
                                      const std::string& name);
    [[nodiscard]] bool take_over(const directory& place);

    const directory* place_ = nullptr;
    plait::detail::unique_fd fd_;
    std::string temporary_; // empty: a file without a name
    std::uint64_t written_ = 0;
};

} // namespace plait::fetch
