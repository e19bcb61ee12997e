// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <plait/fetch.hpp>

#include "fetch/report.hpp"
#include "sys/unique_fd.hpp"

namespace plait::fetch {

/// What became of every item: the report, the counts, and the memory of which lines were equal.
///
/// A line that repeats an earlier one (same URL, same name) is not asked again; it gets the same line in the
/// report. For that, 24 bytes an item are kept, and the lines themselves in a file without a name.
///
/// Threads:  one at a time.
class ledger {
  public:
    ledger(const options& what, observer& seen);

    /// Notes how item `number` ended.
    void end(std::uint64_t number, const row& item, const item_end& told);

    enum class first_seen { new_line, under_way, ended };
    /// Looks a line up, and notes it as `id`'s if it is new. `under_way`: `id` becomes that of the first one.
    /// `ended`: repeat() can be called.
    [[nodiscard]] first_seen look_up(const std::string& url, const std::string& name, std::uint32_t& id);
    /// `id` ends: from now on lines like it are `ended`.
    void remember(const row& item, const std::string& name, std::uint64_t number);
    /// Ends `number` as the first line like it ended.
    void repeat(std::uint64_t number, const std::string& url, const std::string& name);
    /// The same for one that waited for the first.
    void repeat(std::uint64_t number, const row& item);

    void requested() noexcept { ++totals_.requests; }
    /// The last one was not made after all.
    void not_requested() noexcept { --totals_.requests; }
    void flush() noexcept;
    /// Why the report could not be written; empty if it could.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    [[nodiscard]] const totals& so_far() const noexcept { return totals_; }
    [[nodiscard]] bool repeats_are_found() const noexcept { return repeats_; }

  private:
    struct key {
        std::uint64_t a;
        std::uint64_t b;
        bool operator==(const key&) const noexcept = default;
    };
    struct key_hash {
        std::size_t operator()(const key& k) const noexcept { return k.a; }
    };
    struct entry {
        std::uint64_t value; // an item's id, or where its line lies in the archive
        reason why;
        bool ended;
    };
    [[nodiscard]] static key key_of(const std::string& url, const std::string& name) noexcept;
    void put(std::uint64_t number, std::string line);
    void count(reason why, bool failed);
    void archive(std::string_view line);
    [[nodiscard]] bool write_archive();
    /// Empty if the line could not be kept.
    [[nodiscard]] std::string from_archive(std::uint64_t offset);
    void end_report(std::string why);

    observer& seen_;
    bool repeats_;
    std::unique_ptr<ordered_lines> report_;
    std::unordered_map<key, entry, key_hash> lines_;
    plait::detail::unique_fd archive_;
    std::uint64_t archived_ = 0; // bytes in the file
    std::string archive_buffer_;
    int archive_error_ = 0; // then nothing more is kept
    totals totals_;
    std::string error_;
};

} // namespace plait::fetch
