// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <plait/detail/atomic.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/parallel.hpp>
#include <plait/detail/parking_place.hpp>

namespace plait::detail {

/// What a loop is to do.
struct parallel_plan {
    std::size_t items;
    std::size_t grain;
    enum : unsigned char {
        by_time,     // pieces of a size that the clock teaches
        grains,      // pieces of `grain` items
        equal_parts, // a part for each participant, in one piece
    } dealing;
    const char* name;
};

/// One parallel loop under way, and who takes part in it.
///
/// Each participant has a range word: the items from `low` on, below `high`, that nobody has begun. Its owner
/// takes pieces from the lower end, a thief the upper half, each by one compare-exchange, so that a word alone
/// says which items are whose. It counts in units, of one item each unless there are more than fit.
///
/// Entering: participants are posted, and may come late or never. `state_` counts those inside, with flags:
///
///     closed      nobody enters any more: somebody found nothing left to take, or it was stopped
///     stopped     those inside take nothing more
///     cancelled   stopped by the caller's scope, with items left
///
/// The caller sleeps until it is closed with nobody inside. Wake-up: all changes of `state_` are
/// read-modify-writes, and once it is closed the count only falls. It is closed by somebody inside, and then
/// exactly one, the last out, sees both; or by the caller's scope, which sees that nobody is inside. That one
/// wakes `over_`, once.
///
/// Nothing left: a range that a thief has taken and not yet stored is in nobody's word. So thefts are counted
/// in `thefts_`, those under way apart: who finds all words empty, and no theft under way or over meanwhile,
/// knows that every item is done or in some participant's hands.
///
/// Lifetime:  owned by the caller and every participant that is posted; late ones touch nothing else, since
///            the callable and the items are the caller's.
class parallel_run {
  public:
    parallel_run(const parallel_plan& plan, std::size_t participants, piece_function piece);
    parallel_run(const parallel_run&) = delete;
    parallel_run& operator=(const parallel_run&) = delete;

    /// Counts the participants in and posts them: the first is `first`, which the executor has counted in, or
    /// the caller itself.
    void begin(in_process_executor& ex, worker& first, bool caller_takes_part) noexcept;
    /// The caller's own part.
    void take_part_here() noexcept;
    /// Until it is over.
    void wait() noexcept;
    /// The failure that stopped it, or `cancelled`.
    void rethrow() const;

    /// By the caller's scope: stops it, unless nothing is left.
    void cancel() noexcept;

    void release_owner() noexcept;

  private:
    struct range {
        std::uint32_t low = 0, high = 0;
        std::uint32_t size() const noexcept { return low < high ? high - low : 0; }
        static std::uint64_t packed(std::uint32_t low, std::uint32_t high) noexcept {
            return std::uint64_t{high} << 32 | low;
        }
        static range unpacked(std::uint64_t word) noexcept {
            return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
        }
    };

    struct alignas(64) participant : work {
        participant() noexcept : work{&run_posted} {}
        atomic<std::uint64_t> range{0};
        std::uint32_t piece = 1; // units to take next, by_time
        worker* at = nullptr;
        parallel_run* run = nullptr;
        context scope;
    };

    static constexpr std::uint32_t closed_bit = 1, stopped_bit = 2, cancelled_bit = 4, one = 8;
    static constexpr std::uint64_t theft_under_way = 1, theft = 1 << 20;

    ~parallel_run() = default;
    static void run_posted(work& w) noexcept;
    bool take_part(participant& me, bool in_turns) noexcept;
    bool do_pieces(participant& me, bool in_turns) noexcept;
    range take(participant& me) noexcept;
    bool steal(participant& me) noexcept;
    bool enter() noexcept;
    bool count_out() noexcept;
    void leave() noexcept;
    void close(std::uint32_t bits) noexcept;
    void fail(worker& at, const std::exception_ptr& error) noexcept;
    void unable(const std::exception_ptr& reason) noexcept;
    void stop_scopes() noexcept;

    const parallel_plan plan_;
    const std::size_t unit_;
    const std::size_t count_;
    const piece_function piece_;
    context* const caller_scope_;
    const execution* const caller_; // the caller's thread
    const std::unique_ptr<participant[]> participants_;

    atomic<std::uint64_t> thefts_{0}; // orders: see steal()
    // What is done inside is released by leaving, and acquired by the last one out, or by a canceller that
    // finds nobody inside; over_ passes it on to the caller. Who enters takes over nothing: what it begins
    // with came with its post.
    alignas(64) atomic<std::uint32_t> state_{0};
    // The next two only tell who is the last, and the first: failure_ goes to the caller by state_.
    atomic<std::uint32_t> able_;      // participants that have not been refused
    atomic<std::uint32_t> failed_{0}; // 1: somebody writes, or has written, failure_
    atomic<std::uint32_t> owners_{1};
    std::exception_ptr failure_;
    bool last_out_ = false; // the caller's own: it was, so there is nothing to wait for
    parking_place over_;
};

} // namespace plait::detail
