// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/arrivals.hpp>
#include <plait/detail/chrono.hpp>
#include <plait/future.hpp>
#include <plait/task.hpp>
#include <vector>

namespace plait {

/// What `wait` waits for. A cancelled future is done, from the moment that `cancel()` has returned.
enum class wait_until : unsigned char {
    all_completed,
    first_completed, ///< returns all that are done by then, not just one
    first_exception  ///< the first failure; cancellations are none. Without any, all
};

struct wait_options {
    wait_until until = wait_until::all_completed;
    detail::nanoseconds timeout = detail::nanoseconds::max();
};

/// Positions in the range that was waited for, ascending.
struct wait_result {
    std::vector<std::size_t> done;
    std::vector<std::size_t> pending;
};

struct as_completed_options {
    detail::nanoseconds timeout = detail::nanoseconds::max();
};

namespace detail {

template <class R>
concept future_range = requires(R& r) {
    r.begin();
    r.end();
    []<class T>(const future<T>&) {}(*r.begin());
};

/// The part of wait that does not depend on types: one state, and whether it failed (but was not cancelled).
struct waited {
    state_base* state;
    bool (*failed)(state_base&) noexcept;
};

[[gnu::visibility("default")]] wait_result wait_for_states(const std::vector<waited>& states,
                                                           wait_options options);
[[gnu::visibility("default")]] task<wait_result> wait_for_states_async(std::vector<waited> states,
                                                                       wait_options options);
[[noreturn, gnu::visibility("default")]] void throw_unfinished(std::size_t unfinished, std::size_t all);

template <class Range>
std::vector<waited> states_of(Range& futures) {
    std::vector<waited> states;
    for (auto& f : futures) {
        auto& state = future_access::state(f);
        using state_type = std::remove_cvref_t<decltype(state)>;
        states.push_back({&state, [](state_base& s) noexcept {
                              return !s.cancelled() && static_cast<state_type&>(s).failed();
                          }});
    }
    return states;
}

/// The futures of `as_completed`: owned (an rvalue range) or referred to.
template <class Range>
class [[nodiscard]] completed_range {
  public:
    completed_range(Range&& futures, as_completed_options options)
        : futures_(std::forward<Range>(futures)),
          limited_{options.timeout != nanoseconds::max()},
          deadline_{deadline_in(options.timeout)} {
        std::size_t i = 0;
        for (auto& f : futures_) {
            at_.push_back(&f);
            arrivals_.add(future_access::state(f), i++);
        }
    }
    completed_range(completed_range&&) = delete;

    using future_type = std::remove_reference_t<decltype(*std::declval<Range&>().begin())>;

    struct end_mark {};
    class iterator {
      public:
        using value_type = std::remove_const_t<future_type>;
        using difference_type = std::ptrdiff_t;
        using reference = std::conditional_t<std::is_lvalue_reference_v<Range>, future_type&, future_type&&>;

        explicit iterator(completed_range& r) : range_{&r} { ++*this; }
        reference operator*() const noexcept {
            return static_cast<reference>(*range_->at_[range_->current_]);
        }
        iterator& operator++() {
            range_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(end_mark) const noexcept { return range_->current_ == arrivals::nothing; }

      private:
        completed_range* range_;
    };

    iterator begin() { return iterator{*this}; }
    end_mark end() const noexcept { return {}; }

  private:
    void advance() {
        current_ = arrivals::nothing;
        if (arrivals_.pending() == 0) return;
        const std::size_t unfinished = arrivals_.pending();
        current_ = arrivals_.next(limited_ ? deadline_ : time_point::max());
        if (current_ == arrivals::nothing) throw_unfinished(unfinished, at_.size());
    }

    Range futures_;
    std::vector<future_type*> at_;
    arrivals arrivals_;
    bool limited_;
    time_point deadline_;
    std::size_t current_ = arrivals::nothing;
};

/// The same for a task: `while (auto* f = co_await done.next()) use(co_await *f);`
template <class Range>
class [[nodiscard]] completed_async_range {
  public:
    explicit completed_async_range(Range&& futures) : futures_(std::forward<Range>(futures)) {
        std::size_t i = 0;
        for (auto& f : futures_) {
            at_.push_back(&f);
            arrivals_.add(future_access::state(f), i++);
        }
    }
    using future_type = std::remove_reference_t<decltype(*std::declval<Range&>().begin())>;

    /// The next future that is done, valid as long as the range it came from; null when there is none left.
    task<future_type*> next() {
        if (arrivals_.pending() == 0) co_return nullptr;
        const std::size_t i = co_await arrivals_.next_async();
        co_return at_[i];
    }

  private:
    Range futures_;
    std::vector<future_type*> at_;
    arrivals arrivals_;
};

} // namespace detail

/// Blocks until the futures are as `options.until` says, or the timeout has passed. Borrows: nothing is read
/// or cancelled, and every future can be used afterwards. An empty range: at once.
///
///     auto [done, pending] = plait::wait(futures, {.until = plait::wait_until::first_completed});
template <detail::future_range Range>
wait_result wait(const Range& futures, wait_options options = {}) {
    return detail::wait_for_states(detail::states_of(futures), options);
}

/// The same for coroutines. The futures must live until it has ended.
///
/// Cancellation:  throws `cancelled`; the futures go on (test W11).
template <detail::future_range Range>
task<wait_result> wait_async(const Range& futures, wait_options options = {}) {
    return detail::wait_for_states_async(detail::states_of(futures), options);
}

/// The futures as they finish, those that have finished already first, each once; blocks for the next one. An
/// rvalue range is owned, and its futures come out as rvalues; of an lvalue range, references.
///
///     for (auto&& f : plait::as_completed(std::move(downloads))) use(f.get());
///
/// Leaving the loop early leaves the rest as they are. It holds nothing that it has yielded.
/// Errors:  after `{.timeout = d}` timeout_error, with both counts in its text, once the finished ones have
///          come out.
template <detail::future_range Range>
auto as_completed(Range&& futures, as_completed_options options = {}) {
    return detail::completed_range<Range>{std::forward<Range>(futures), options};
}

/// The same for coroutines:
///
///     auto done = plait::as_completed_async(downloads);
///     while (auto* f = co_await done.next()) use(co_await *f);
///
/// Cancellation:  throws `cancelled`; the futures go on (test W11).
template <detail::future_range Range>
auto as_completed_async(Range&& futures) {
    return detail::completed_async_range<Range>{std::forward<Range>(futures)};
}

} // namespace plait
