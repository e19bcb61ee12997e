// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <plait/fetch.hpp>

#include "fetch/download.hpp"
#include "fetch/hosts.hpp"
#include "fetch/input.hpp"
#include "fetch/ledger.hpp"
#include "fetch/name.hpp"
#include "fetch/retry.hpp"
#include "http/redirect.hpp"

namespace plait::fetch {

/// Who is asked next, and what follows from the answer: all of fetch but for the requests themselves.
///
/// Lines are read when somebody has nothing to do, 10,000 at most ahead of those that are asked. No clock, no
/// network: the time is passed in.
///
/// Threads:  one at a time.
class plan {
  public:
    static constexpr std::size_t look_ahead = 10'000;

    /// Opens the list: throws run_error if it cannot be read.
    plan(const options& what, std::uint64_t seed);
    /// Before the first next().
    void keep_in(ledger& book) noexcept { book_ = &book; }

    /// Something to ask now; finish() or abandon() ends it.
    [[nodiscard]] std::optional<order> next(time_point now);
    void finish(const fetched& answer, time_point now);
    /// The request was given up since the run ends.
    void abandon(std::uint32_t id, time_point now);
    /// Nobody can do this request, nor any other: whoever does them has broken down.
    void break_down(std::uint32_t id, std::string why, time_point now);

    /// Nothing new is begun: what waits ends as "interrupted" or "not started", and so does the rest of the
    /// list.
    void stop(time_point now);

    /// Everything has ended.
    [[nodiscard]] bool over() const noexcept {
        return ended_ && hosts_.waiting() == 0 && hosts_.in_flight() == 0;
    }
    /// There might be something to ask besides what is in flight.
    [[nodiscard]] bool has_more() const noexcept {
        return hosts_.has_ready() || (!ended_ && !list_is_slow_ && hosts_.in_flight() < what_.connections &&
                                      hosts_.waiting() < look_ahead);
    }
    /// next() gave up only for the sake of others: the list goes on.
    [[nodiscard]] bool can_read_on() const noexcept { return paused_; }
    [[nodiscard]] std::optional<time_point> wake_time() const { return hosts_.wake_time(); }
    /// Whether the list is slow to come (a pipe), so that it has to be looked at again.
    [[nodiscard]] bool waits_for_list() const noexcept { return list_is_slow_; }

    [[nodiscard]] const host_queue& hosts() const noexcept { return hosts_; }
    [[nodiscard]] std::uint64_t known() const noexcept { return next_number_; }
    [[nodiscard]] bool all_known() const noexcept { return ended_; }
    /// Why nothing more can be done; empty if it can.
    [[nodiscard]] const std::string& run_error() const noexcept { return run_error_; }

  private:
    struct item {
        std::uint64_t number = 0; // in the list
        std::string text;         // the URL as given
        http::detail::url first;  // what it means
        http::detail::url at;     // where redirects have led
        http::detail::trail trail;
        std::string name; // that the list gave
        std::string file; // the safe and only one; in --dir
        std::uint64_t hash = 0;
        std::size_t site = 0;
        unsigned tries = 0;
        bool begun = false;
        time_point since{};
        std::vector<std::uint64_t> repeats; // numbers of equal lines
    };

    [[nodiscard]] bool read_one(time_point now);
    void admit(input_item&& line);
    [[nodiscard]] std::uint32_t new_item();
    void start_over(item& it);
    [[nodiscard]] bool is_late(const item& it, time_point now) const noexcept {
        return what_.timeout != plait::detail::nanoseconds::max() && it.begun &&
               now - it.since >= what_.timeout;
    }
    [[nodiscard]] order order_of(std::uint32_t id, time_point now);
    void follow(std::uint32_t id, const fetched& answer, time_point now);
    void fail(std::uint32_t id, const fetched& answer, reason why, std::string error, time_point now);
    void end(std::uint32_t id, row&& line, std::size_t worker);
    [[nodiscard]] row row_of(const item& it, const fetched& answer, time_point now) const;
    [[nodiscard]] std::size_t site_of(const std::string& origin);
    void end_unasked(input_item&& line, reason why, std::string error);
    void stop_waiting(std::uint32_t id, time_point now);

    const options& what_;
    ledger* book_ = nullptr;
    input input_;
    input_item line_;
    host_queue hosts_;
    name_table names_;
    back_off back_off_;
    http::detail::url_parser parser_;
    std::vector<item> items_;
    std::vector<std::uint32_t> free_;
    std::unordered_map<std::string, std::size_t> sites_;
    std::uint64_t next_number_ = 0;
    bool ended_ = false;
    bool stopped_ = false;
    bool list_is_slow_ = false;
    bool paused_ = false;
    std::string run_error_;
};

} // namespace plait::fetch
