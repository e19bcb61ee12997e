// SPDX-License-Identifier: Apache-2.0
#include "fetch/ledger.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fetch/name.hpp"
#include "sys/errors.hpp"

namespace plait::fetch {
namespace {

constexpr std::size_t archive_block = 64 * 1024;
constexpr std::uint64_t not_kept = UINT64_MAX;

} // namespace

ledger::ledger(const options& what, observer& seen) : seen_(seen), repeats_(!what.discard) {
    if (!what.report.empty()) report_ = std::make_unique<ordered_lines>(what.report);
}

void ledger::count(reason why, bool failed) {
    ++totals_.items;
    ++(failed ? totals_.failed : totals_.done);
    if (failed) ++totals_.by_reason[static_cast<std::size_t>(why)];
}

void ledger::end(std::uint64_t number, const row& item, const item_end& told) {
    count(item.why, item.why != reason::none);
    totals_.bytes += item.bytes;
    if (item.why == reason::none) totals_.done_bytes += item.bytes;
    if (report_) put(number, to_json_line(item));
    seen_.ended(told);
}

ledger::key ledger::key_of(const std::string& url, const std::string& name) noexcept {
    const std::uint64_t a = hash_text(url);
    const std::uint64_t b = hash_text(name);
    // Two halves that have nothing in common, so that no two different lines are held for equal.
    std::uint64_t other = 0x9e3779b97f4a7c15U;
    for (const char c : url)
        other = (other ^ static_cast<unsigned char>(c)) * 0xff51afd7ed558ccdU + (other >> 29U);
    return {a ^ (b * 0x9e3779b97f4a7c15U), other + b};
}

ledger::first_seen ledger::look_up(const std::string& url, const std::string& name, std::uint32_t& id) {
    const auto [it, is_new] = lines_.try_emplace(key_of(url, name), entry{id, reason::none, false});
    if (is_new) return first_seen::new_line;
    if (it->second.ended) return first_seen::ended;
    id = static_cast<std::uint32_t>(it->second.value);
    return first_seen::under_way;
}

void ledger::remember(const row& item, const std::string& name, std::uint64_t /*number*/) {
    const auto it = lines_.find(key_of(item.url, name));
    if (it == lines_.end()) return;
    it->second = {archive_error_ != 0 ? not_kept : archived_ + archive_buffer_.size(), item.why, true};
    if (report_) archive(to_json_line(item));
}

void ledger::repeat(std::uint64_t number, const std::string& url, const std::string& name) {
    const entry& first = lines_.at(key_of(url, name));
    count(first.why, first.why != reason::none);
    if (report_) {
        std::string line = first.value == not_kept ? std::string{} : from_archive(first.value);
        if (line.empty())
            end_report("cannot keep the lines of the report that are repeated: " +
                       plait::detail::errno_text(archive_error_));
        else
            put(number, std::move(line));
    }
    item_end told;
    told.url = url;
    told.reason = text_of(first.why);
    told.error = told.reason;
    told.asked = false;
    seen_.ended(told);
}

void ledger::repeat(std::uint64_t number, const row& item) {
    count(item.why, item.why != reason::none);
    if (report_) put(number, to_json_line(item));
    item_end told;
    told.url = item.url;
    told.reason = text_of(item.why);
    told.error = item.error;
    told.asked = false;
    seen_.ended(told);
}

/// Only lines that are repeated are ever read again: an archive that cannot be written harms nobody before.
void ledger::archive(std::string_view line) {
    if (archive_error_ != 0) return;
    archive_buffer_ += line;
    if (archive_buffer_.size() >= archive_block && !write_archive()) archive_error_ = errno;
}

bool ledger::write_archive() {
    if (!archive_) {
        archive_.reset(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!archive_) archive_.reset(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!archive_) archive_.reset(::memfd_create("plait-lines", MFD_CLOEXEC));
        if (!archive_) return false;
    }
    // What has been written leaves the buffer at once: from_archive() finds a line by where the file ends.
    while (!archive_buffer_.empty()) {
        const ssize_t done = ::pwrite(archive_.get(), archive_buffer_.data(), archive_buffer_.size(),
                                      static_cast<off_t>(archived_));
        if (done < 0 && errno == EINTR) continue;
        if (done == 0) errno = EIO;
        if (done <= 0) return false;
        archived_ += static_cast<std::uint64_t>(done);
        archive_buffer_.erase(0, static_cast<std::size_t>(done));
    }
    return true;
}

std::string ledger::from_archive(std::uint64_t offset) {
    std::string line;
    char block[512];
    while (offset + line.size() < archived_) {
        const ssize_t got =
            ::pread(archive_.get(), block, sizeof block, static_cast<off_t>(offset + line.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            archive_error_ = got < 0 ? errno : EIO;
            return {};
        }
        line.append(block, static_cast<std::size_t>(got));
        if (const std::size_t end = line.find('\n'); end != std::string::npos) {
            line.resize(end + 1);
            return line;
        }
    }
    // The rest is in the buffer, unless it was never kept.
    const auto start = static_cast<std::size_t>(offset + line.size() - archived_);
    const std::size_t end = archive_buffer_.find('\n', std::min(start, archive_buffer_.size()));
    if (end == std::string::npos) return {};
    return line.append(archive_buffer_, start, end + 1 - start);
}

void ledger::end_report(std::string why) {
    error_ = std::move(why);
    report_.reset();
}

void ledger::put(std::uint64_t number, std::string line) {
    try {
        report_->put(number, std::move(line));
    } catch (const run_error&
                 failed) { // the downloads are worth more than the report: what runs is ended in peace
        end_report(failed.what());
    }
}

void ledger::flush() noexcept {
    if (!report_) return;
    try {
        report_->flush();
    } catch (const run_error& failed) {
        end_report(failed.what());
    }
}

} // namespace plait::fetch
