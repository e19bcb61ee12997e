// SPDX-License-Identifier: Apache-2.0
#include "fetch/ledger.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "fetch/name.hpp"
#include "sys/errors.hpp"

namespace plait::fetch {
namespace {

constexpr std::size_t archive_block = 64 * 1024;

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
    it->second = {archived_ + archive_buffer_.size(), item.why, true};
    if (report_) archive(to_json_line(item));
}

void ledger::repeat(std::uint64_t number, const std::string& url, const std::string& name) {
    const entry& first = lines_.at(key_of(url, name));
    count(first.why, first.why != reason::none);
    if (report_) put(number, from_archive(first.value));
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

void ledger::archive(std::string_view line) {
    archive_buffer_ += line;
    if (archive_buffer_.size() < archive_block) return;
    if (!archive_) {
        archive_.reset(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!archive_) archive_.reset(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!archive_) archive_.reset(::memfd_create("plait-lines", MFD_CLOEXEC));
    }
    for (std::string_view rest{archive_buffer_}; !rest.empty();) {
        const ssize_t done =
            ::pwrite(archive_.get(), rest.data(), rest.size(), static_cast<off_t>(archived_));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            throw run_error("cannot keep the lines of the report: " +
                            plait::detail::errno_text(done < 0 ? errno : EIO));
        archived_ += static_cast<std::uint64_t>(done);
        rest.remove_prefix(static_cast<std::size_t>(done));
    }
    archive_buffer_.clear();
}

std::string ledger::from_archive(std::uint64_t offset) {
    std::string line;
    if (offset >= archived_) {
        const auto start = static_cast<std::size_t>(offset - archived_);
        return archive_buffer_.substr(start, archive_buffer_.find('\n', start) + 1 - start);
    }
    char block[512];
    while (!line.ends_with('\n')) {
        const ssize_t got =
            ::pread(archive_.get(), block, sizeof block, static_cast<off_t>(offset + line.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            throw run_error("cannot read the lines of the report: " +
                            plait::detail::errno_text(got < 0 ? errno : EIO));
        line.append(block, static_cast<std::size_t>(got));
        if (const std::size_t end = line.find('\n'); end != std::string::npos) line.resize(end + 1);
    }
    return line;
}

void ledger::put(std::uint64_t number, std::string line) {
    try {
        report_->put(number, std::move(line));
    } catch (const run_error&
                 failed) { // the downloads are worth more than the report: what runs is ended in peace
        error_ = failed.what();
        report_.reset();
    }
}

void ledger::flush() noexcept {
    if (!report_) return;
    try {
        report_->flush();
    } catch (const run_error& failed) {
        error_ = failed.what();
        report_.reset();
    }
}

} // namespace plait::fetch
