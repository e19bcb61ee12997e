// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/arrivals.hpp>
#include <plait/detail/map_async.hpp>
#include <plait/detail/map_chunk.hpp>
#include <plait/detail/ranges.hpp>
#include <plait/map.hpp>
#include <tuple>
#include <vector>

// The ranges that map, map_unordered and map_outcomes return. Their promises: plait/map.hpp.

namespace plait::detail {

[[noreturn, gnu::visibility("default")]] void throw_map_window();
[[noreturn, gnu::visibility("default")]] void throw_map_on_own_loop();

/// The input: one range, or several side by side.
template <class... Ranges>
class map_input {
  public:
    explicit map_input(Ranges&&... ranges) : ranges_{std::forward<Ranges>(ranges)...} {}
    map_input(map_input&&) = default; // before the first `next`

    using item = std::tuple<std::ranges::range_value_t<std::remove_reference_t<Ranges>>...>;

    /// The next items, or nothing at the end. Throws what the input throws.
    std::optional<item> next() { return next(std::index_sequence_for<Ranges...>{}); }

  private:
    template <std::size_t... I>
    std::optional<item> next(std::index_sequence<I...>) {
        if (!at_) // not in the constructor: begin() may be slow, or throw
            at_.emplace(std::ranges::begin(std::get<I>(ranges_))...);
        else
            (++std::get<I>(*at_), ...);
        if (((std::get<I>(*at_) == std::ranges::end(std::get<I>(ranges_))) || ...)) return std::nullopt;
        return item{*std::get<I>(*at_)...};
    }

    std::tuple<Ranges...> ranges_;
    std::optional<std::tuple<std::ranges::iterator_t<std::remove_reference_t<Ranges>>...>> at_;
};

/// What the returned range refers to; it stays where it is, since running chunks refer to its `fn`.
template <map_kind Kind, class Executor, class F, class R, class... Ranges>
class map_core {
  public:
    map_core(Executor& ex, F&& fn, map_options options, Ranges&&... ranges)
        : executor_{ex},
          fn_{std::move(fn)},
          input_{std::forward<Ranges>(ranges)...},
          window_{options.window == map_options::automatic ? 64 * ex.concurrency() : options.window},
          plan_{map_shape{is_task<raw> ? 1 : options.chunk, window_ / ex.concurrency(), window_,
                          (std::ranges::forward_range<std::remove_reference_t<Ranges>> && ...)}},
          limited_{options.timeout != nanoseconds::max()},
          deadline_{deadline_in(options.timeout)} {}
    map_core(map_core&&) = delete;
    ~map_core() { give_up(); }

    using result = std::conditional_t<Kind == map_kind::outcomes, outcome<R>, map_value<R>>;

    bool at_end() const noexcept { return over_; }

    /// To the first item, or to the next one.
    void advance() {
        if (begun_ && !over_) {
            // Passed over unread: its place must be known, and an input's failure is the last item.
            if (!current_ && !arrive()) over_ = true;
            ++consumed_;
            ++item_;
        }
        begun_ = true;
        current_.reset();
        settle();
    }

    /// The current item's result; blocks for it. Moved out by the consumer.
    result&& get() {
        if (!current_) current_.emplace(extract());
        return std::move(*current_);
    }

  private:
    using raw = std::invoke_result_t<F&, std::ranges::range_value_t<std::remove_reference_t<Ranges>>...>;
    using item = typename map_input<Ranges...>::item;
    using flight = typename map_flight_of<Kind, R, Executor, F, item>::type;

    // Brings the item that is next to the front of `ready_`'s place, as far as that is possible without
    // blocking.
    void settle() {
        if (over_) return;
        if (item_ < size_of_current()) return;
        drop_current();
        fill();
        if (flights_.empty() && !input_error_) over_ = true;
    }

    std::size_t size_of_current() const noexcept { return have_current_ ? flights_[front_].size() : 0; }

    void drop_current() {
        if (!have_current_) return;
        have_current_ = false;
        item_ = 0;
        flights_[front_].drop(plan_);
        if constexpr (Kind == map_kind::unordered) {
            free_.push_back(front_); // its place is taken again
            if (--alive_ == 0) {
                flights_.clear();
                free_.clear();
            }
        } else if (++front_ == flights_.size()) {
            flights_.clear();
            front_ = 0;
        } else if (front_ >= 32 && 2 * front_ >= flights_.size()) { // more gaps than flights: close them
            flights_.erase(flights_.begin(), flights_.begin() + static_cast<std::ptrdiff_t>(front_));
            front_ = 0;
        }
    }

    void fill() {
        while (!input_ended_) {
            const std::size_t room = window_ - (pulled_ - consumed_);
            const std::size_t wanted = plan_.size();
            // A chunk that would not be full waits for room, unless nothing is under way.
            if (room == 0) return;
            if (room < wanted && !flights_.empty() && !(consumed_ == 0 && plan_.fills_window())) return;
            std::vector<item> items = std::move(spare_); // what an executor leaves of it serves again
            items.clear();
            const std::size_t n = wanted < room ? wanted : room;
            items.reserve(n);
            plan_.begin_reading();
            try {
                while (items.size() < n) {
                    std::optional<item> next = input_.next();
                    if (!next) {
                        input_ended_ = true;
                        break;
                    }
                    ++pulled_;
                    items.push_back(std::move(*next));
                }
            } catch (...) {
                input_error_ = std::current_exception();
                input_ended_ = true;
            }
            plan_.end_reading(items.size());
            if (!items.empty()) launch(std::move(items));
        }
    }

    void launch(std::vector<item>&& items) {
        // Before it begins: no flight may be lost for want of memory.
        if (flights_.size() == flights_.capacity()) flights_.reserve(2 * flights_.size() + 8);
        const std::size_t n = items.size();
        flight f = [&] {
            try {
                return flight{executor_, fn_, std::move(items), plan_};
            } catch (...) {
                return flight{n, std::current_exception()};
            }
        }();
        spare_ = std::move(items);
        if constexpr (Kind == map_kind::unordered) {
            std::size_t index = flights_.size();
            if (free_.empty()) {
                flights_.push_back(std::move(f));
            } else {
                index = free_.back();
                free_.pop_back();
                flights_[index] = std::move(f);
            }
            ++alive_;
            if (flights_[index].landed())
                landed_.push_back(index);
            else
                arrivals_.add(flights_[index].state(), index);
        } else {
            flights_.push_back(std::move(f));
        }
    }

    result extract() {
        if (!arrive()) {
            over_ = true; // what is left is the input's own failure
            std::rethrow_exception(std::exchange(input_error_, nullptr));
        }
        auto&& o = flights_[front_].at(item_);
        if constexpr (Kind == map_kind::outcomes) {
            return std::move(o);
        } else if constexpr (std::is_void_v<R>) {
            std::move(o).value();
            return {};
        } else {
            return std::move(o).value();
        }
    }

    // Waits for the item that comes next. False: there is none.
    bool arrive() {
        if (!have_current_ && !begin_flight()) return false;
        if (!flights_[front_].wait(item_, deadline(), plan_)) time_out();
        return true;
    }

    // To the flight whose items come next. False: there is none.
    bool begin_flight() {
        if constexpr (Kind == map_kind::unordered) {
            if (alive_ == 0) return false;
            if (!landed_.empty()) {
                front_ = landed_.back();
                landed_.pop_back();
            } else {
                front_ = arrivals_.next(deadline());
                if (front_ == arrivals::nothing) time_out();
            }
        } else if (flights_.empty()) {
            return false;
        }
        have_current_ = true;
        item_ = 0;
        return true;
    }

    time_point deadline() const noexcept { return limited_ ? deadline_ : time_point::max(); }

    [[noreturn]] void time_out() {
        give_up();
        over_ = true;
        throw_map_timeout();
    }

    // Cancels what has not started and waits for what runs: afterwards nobody refers to `fn_`.
    void give_up() noexcept {
        input_ended_ = true;
        // The last first: one that runs may end at once, and the next one must not begin then.
        for (auto f = flights_.rbegin(); f != flights_.rend(); ++f) f->cancel();
        for (flight& f : flights_) f.wait_for_all();
    }

    Executor& executor_;
    F fn_;
    map_input<Ranges...> input_;
    const std::size_t window_;
    typename flight::plan plan_;
    const bool limited_;
    const time_point deadline_;

    std::vector<item> spare_;
    std::vector<flight> flights_; // ordered: in input order, those before front_ are over; unordered: places
    std::vector<std::size_t> free_;   // unordered: places that can be used again
    std::vector<std::size_t> landed_; // unordered: places that failed at launch
    std::size_t alive_ = 0;           // unordered: places in use
    arrivals arrivals_;               // unordered

    std::size_t front_ = 0;     // the flight whose items come now, or (ordered) come next
    std::size_t item_ = 0;      // which of them
    bool have_current_ = false; // front_ is the one whose items come now
    std::size_t pulled_ = 0;
    std::size_t consumed_ = 0;
    bool begun_ = false;
    bool input_ended_ = false;
    bool over_ = false;
    std::exception_ptr input_error_;
    std::optional<result> current_;
};

/// A move-only input range.
template <class Core>
class [[nodiscard]] map_range {
  public:
    explicit map_range(Core* core) noexcept : core_{core} {}
    map_range(map_range&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
    map_range& operator=(map_range&& other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~map_range() { delete core_; }

    struct end_mark {};
    class iterator {
      public:
        using value_type = typename Core::result;
        using difference_type = std::ptrdiff_t;

        explicit iterator(Core& core) noexcept : core_{&core} {}
        value_type&& operator*() const { return core_->get(); }
        iterator& operator++() {
            core_->advance();
            return *this;
        }
        void operator++(int) { core_->advance(); }
        bool operator==(end_mark) const noexcept { return core_->at_end(); }

      private:
        Core* core_;
    };

    /// Once.
    iterator begin() {
        core_->advance();
        return iterator{*core_};
    }
    end_mark end() const noexcept { return {}; }

  private:
    Core* core_;
};

template <class T>
inline constexpr bool is_map_options = std::is_same_v<std::remove_cvref_t<T>, map_options>;

template <map_kind Kind, class Executor, class F, class... Ranges>
auto make_map_range(Executor& ex, F&& fn, map_options options, Ranges&&... ranges) {
    using R = task_value_t<
        std::invoke_result_t<F&, std::ranges::range_value_t<std::remove_reference_t<Ranges>>...>>;
    using core = map_core<Kind, Executor, F, R, Ranges...>;
    if (options.window == 0) throw_map_window();
    if constexpr (requires { ex.blocks_itself(); })
        if (ex.blocks_itself()) throw_map_on_own_loop();
    return map_range<core>{new core{ex, std::forward<F>(fn), options, std::forward<Ranges>(ranges)...}};
}

template <map_kind Kind, class Executor, class F, class Generator>
auto make_async_map(Executor& ex, F&& fn, map_options options, Generator&& input) {
    static_assert(!std::is_reference_v<Generator>, "plait: map owns its async_generator: std::move it");
    static_assert(std::copy_constructible<F>,
                  "plait: over an async_generator each item gets a copy of map's function, "
                  "which this one cannot give");
    using R = task_value_t<std::invoke_result_t<F&, typename Generator::value_type>>;
    if (options.window == 0) throw_map_window();
    const std::size_t window =
        options.window == map_options::automatic ? 64 * ex.concurrency() : options.window;
    return map_async<Kind, R>(ex, std::forward<F>(fn), window, deadline_in(options.timeout),
                              std::forward<Generator>(input));
}

template <map_kind Kind, class Executor, class F, class... Inputs>
auto choose_map(Executor& ex, F&& fn, map_options options, Inputs&&... inputs) {
    if constexpr ((is_async_generator<std::remove_cvref_t<Inputs>> || ...)) {
        static_assert(sizeof...(Inputs) == 1, "plait: map takes one async_generator, and nothing beside it");
        return make_async_map<Kind>(ex, std::forward<F>(fn), options, std::forward<Inputs>(inputs)...);
    } else {
        return make_map_range<Kind>(ex, std::forward<F>(fn), options, std::forward<Inputs>(inputs)...);
    }
}

template <map_kind Kind, class Executor, class F, class... Args>
auto make_map(Executor& ex, F fn, Args&&... args) {
    static_assert(sizeof...(Args) > 0, "plait: map needs at least one range after the function");
    if constexpr ((is_map_options<Args> || ...)) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            auto all = std::forward_as_tuple(std::forward<Args>(args)...);
            static_assert(is_map_options<std::tuple_element_t<sizeof...(Args) - 1, decltype(all)>>,
                          "plait: map_options come last, after the ranges");
            return choose_map<Kind>(ex, std::move(fn), std::get<sizeof...(Args) - 1>(all),
                                    std::get<I>(std::move(all))...);
        }(std::make_index_sequence<sizeof...(Args) - 1>{});
    } else {
        return choose_map<Kind>(ex, std::move(fn), map_options{}, std::forward<Args>(args)...);
    }
}

} // namespace plait::detail
