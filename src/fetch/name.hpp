// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plait::fetch {

/// The longest name that is given to a file; with a temporary name's room to spare on every file system.
inline constexpr std::size_t longest_name = 200;

/// The file name for a URL's path (still percent-encoded, without query): its last segment, decoded once,
/// made safe.
[[nodiscard]] std::string name_from_path(std::string_view path);

/// The file name for a name that a list gave: one segment, made safe by the same rules, never decoded.
[[nodiscard]] std::string name_from_list(std::string_view given);

/// 64 bits of a text, the same in every run and on every machine (FNV-1a with a final mix).
[[nodiscard]] std::uint64_t hash_text(std::string_view text) noexcept;

/// The names of a run: each is given once.
///
/// Names that differ only in case, or in dots and blanks at the end, count as equal, since there are file
/// systems on which they are. The second `a.txt` becomes `a~2.txt`. Sixteen bytes a name: only hashes are
/// kept, so that of 100,000 names two may be held for equal once in 10^9 runs, which costs the second one a
/// needless `~2`.
class name_table {
  public:
    /// The name itself if it is free, else the first free one of `stem~2.ext`, `stem~3.ext`, ...
    [[nodiscard]] std::string reserve(std::string name);
    [[nodiscard]] std::size_t size() const noexcept { return used_; }

  private:
    struct entry {
        std::uint64_t hash = 0; // 0 = free
        std::uint64_t next = 2; // the number to try for the next one of this name
    };
    [[nodiscard]] entry& find(std::uint64_t hash) noexcept;
    [[nodiscard]] bool insert(std::uint64_t hash);
    void grow();

    std::vector<entry> entries_;
    std::size_t used_ = 0;
};

} // namespace plait::fetch
