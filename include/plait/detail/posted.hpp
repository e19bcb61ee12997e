// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <plait/detail/atomic.hpp>
#include <plait/detail/context.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/invoke.hpp>
#include <type_traits>

namespace plait::detail {

/// A posted function, as queues hold it. Nobody can wait for it, cancel it or time it out, so it is a cache
/// line with the function in it: it has a scope, and an entry in the registry, only while it runs.
///
/// Threads:  made by whoever posts it, from then on its own; whoever runs it deletes it.
/// Errors:   the function's go to the executor's unhandled handler; a `cancelled` goes nowhere.
class [[gnu::visibility("default")]] posted : public work, public pooled {
  public:
    worker& owner() const noexcept { return *owner_; }
    /// The function is gone. The last that a posted function does is to leave its executor.
    static void end(worker& owner, const std::exception_ptr& failure) noexcept;

  protected:
    posted(worker& owner, std::source_location created, function* f) noexcept;
    ~posted() = default;

    /// What `this_task` and the registry show while the function runs.
    class [[gnu::visibility("default")]] running : context {
      public:
        explicit running(const posted& self) noexcept;
        ~running();
        running(const running&) = delete;
        running& operator=(const running&) = delete;

      private:
        execution& thread_; // a function, unlike a coroutine, stays on its thread
        context* const outer_;
    };

    worker* const owner_;

  private:
    std::source_location created_;
    std::uint64_t parent_;
    time_point deadline_; // of the task that posted it
};

class posted_record;

/// What all functions of one type that are posted by value have in common, so that it need not travel with each: every
/// line that one thread writes and another reads costs both of them more than the rest of a post.
struct posted_kind {
    using function = void(posted_record&);
    function* run;
    atomic<std::source_location> place{}; // where the first of them was posted

    /// A lambda is posted where it stands; an object that is posted elsewhere, too, is not of the kind there.
    bool is_posted_at(const std::source_location& here) noexcept {
        const auto same = [&here](const std::source_location& other) {
            return std::bit_cast<std::uintptr_t>(other) == std::bit_cast<std::uintptr_t>(here);
        };
        // relaxed: what it stands for is a constant of the program.
        std::source_location first = place.load(order::relaxed);
        if (same(first)) return true;
        first = {};
        return place.compare_exchange(first, here, order::relaxed, order::relaxed) || same(first);
    }
};

/// What is posted, for queues that keep it as it is: a work by its address, or a function of some kind with what it has
/// captured. One to three words, of which the first tells how many. Nothing is known of who posted it: what a task posts
/// is a `posted`.
class posted_record {
  public:
    static constexpr std::size_t most_captured = 2; // words

    posted_record() noexcept = default; // empty
    explicit posted_record(work& w) noexcept : head_{address_of(w) | is_work | 1} {}
    posted_record(posted_kind& k, std::size_t captured) noexcept : head_{address_of(k) | (captured + 1)} {}

    /// Null: it is a work.
    posted_kind* kind() const noexcept {
        return (head_ & is_work) != 0 ? nullptr : reinterpret_cast<posted_kind*>(head_ & ~marks);
    }
    work* held() const noexcept { return reinterpret_cast<work*>(head_ & ~marks); }
    void* captured() noexcept { return captured_.data(); }

    /// As it lies in a queue: `size_of` its first word; then so many words in all, by number.
    static std::uint32_t size_of(std::uint64_t first) noexcept { return first & size_mask; }
    std::uint32_t size() const noexcept { return size_of(head_); }
    std::uint64_t& word(std::size_t i) noexcept { return i == 0 ? head_ : captured_[i - 1]; }
    std::uint64_t word(std::size_t i) const noexcept { return i == 0 ? head_ : captured_[i - 1]; }

  private:
    static constexpr std::uint64_t marks = 7, is_work = 4, size_mask = 3; // in what is zero in an address

    static std::uint64_t address_of(const auto& what) noexcept {
        static_assert(alignof(decltype(what)) > marks);
        return reinterpret_cast<std::uintptr_t>(&what);
    }

    std::uint64_t head_ = 0;
    std::array<std::uint64_t, most_captured> captured_{};
};

/// It can be copied like memory, so that no code of the user's runs where it is queued.
template <class F>
inline constexpr bool posted_by_value =
    std::is_trivially_copyable_v<F> && sizeof(F) <= 8 * posted_record::most_captured && alignof(F) <= 8;

template <class F>
    requires posted_by_value<F>
struct posted_as {
    static void run(posted_record& r) {
        static_cast<void>(detail::invoke(std::move(*static_cast<F*>(r.captured()))));
    }
    static inline posted_kind kind{&run};
    static constexpr std::size_t words = std::is_empty_v<F> ? 0 : (sizeof(F) + 7) / 8;

    static posted_record record(const F& fn) noexcept {
        posted_record r{kind, words};
        if constexpr (words != 0) ::new (r.captured()) F{fn};
        return r;
    }
};

/// One thread's place for running such functions, one at a time: a scope and an entry in the registry that
/// serve them all. Who runs it counts the function out of its executor.
class [[gnu::visibility("default")]] posted_here : public work {
  public:
    /// On the thread itself; `owner` is whom its functions were posted to.
    explicit posted_here(worker& owner) noexcept;
    ~posted_here();
    posted_here(const posted_here&) = delete;
    posted_here& operator=(const posted_here&) = delete;

    posted_record record;

  private:
    static void run_record(work& w) noexcept;

    worker& owner_;
    execution& thread_;
    task_node& node_;
    const bool visible_; // else the node is the one that everybody shares who has none
    std::optional<context> scope_;
};

template <class F>
class posted_call final : public posted {
  public:
    template <class G>
    posted_call(worker& owner, std::source_location created, G&& fn)
        : posted{owner, created, &run_queued}, fn_(static_cast<G&&>(fn)) {}

  private:
    static void run_queued(work& w) noexcept {
        auto& self = static_cast<posted_call&>(w);
        worker& owner = *self.owner_;
        std::exception_ptr failure;
        if (owner.refusing()) {
            failure = owner.refusal();
            delete &self;
        } else {
            const running here{self};
            try {
                static_cast<void>(detail::invoke(std::move(self.fn_)));
            } catch (...) {
                failure = std::current_exception();
            }
            delete &self;
        }
        end(owner, failure);
    }

    [[no_unique_address]] F fn_;
};

} // namespace plait::detail
