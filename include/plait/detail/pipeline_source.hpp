// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/arrivals.hpp>
#include <plait/detail/ranges.hpp>
#include <plait/executor.hpp> // map's way of submitting
#include <plait/generator.hpp>
#include <plait/task_group.hpp>

// Where a pipeline's items come from.

namespace plait::detail {

/// What came of pulling.
enum class pulled : unsigned char {
    item,    ///< one
    moved,   ///< none yet, but something has changed: pull again
    nothing, ///< none yet, and nothing to be done until something under way is done
    end,     ///< none any more
};

/// What the parts of a running pipeline have in common.
struct pipeline_run {
    arrivals done;               // of all stages: what each of them awaits, under the numbers it has given
    task_group* group = nullptr; // only where the pipeline is a task's
};

/// Which stage an arrival belongs to, and which of its places.
inline constexpr unsigned bits_of_place = 48;
inline std::size_t number_of(std::size_t stage, std::size_t place) noexcept {
    return stage << bits_of_place | place;
}

/// A source with nothing under way: it makes its items on the thread that drives.
struct source_at_hand {
    static constexpr bool waits = false;
    static std::size_t begin() noexcept { return 0; } // its number
    static void arrived(std::size_t) noexcept {}
    static void cancel() noexcept {}
    static void wait() noexcept {}
};

/// A range's items.
template <class Range>
class range_source : public source_at_hand {
  public:
    using item = std::ranges::range_value_t<std::remove_reference_t<Range>>;

    explicit range_source(Range&& range) : input_{std::forward<Range>(range)} {}

    pulled pull(pipeline_run&, std::optional<item>& into) {
        auto next = input_.next();
        if (!next) return pulled::end;
        into.emplace(std::get<0>(std::move(*next)));
        return pulled::item;
    }

  private:
    map_input<Range> input_;
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// A function that gives items until it gives none.
template <class F>
class function_source : public source_at_hand {
  public:
    using item = typename std::invoke_result_t<F&>::value_type;

    explicit function_source(F fn) : fn_{std::move(fn)} {}

    pulled pull(pipeline_run&, std::optional<item>& into) {
        into = fn_();
        return into ? pulled::item : pulled::end;
    }

  private:
    F fn_;
};

/// Something that has to be awaited for each item: one such wait is under way at a time, as a child of the pipeline's
/// task, so that the stages go on meanwhile.
template <class F>
class awaited_source {
  public:
    using item = typename task_value_t<std::invoke_result_t<F&>>::value_type;
    static constexpr bool waits = true;

    template <class Producer>
        requires std::constructible_from<F, Producer&&>
    explicit awaited_source(Producer&& producer) : fn_{std::forward<Producer>(producer)} {}

    pulled pull(pipeline_run& run, std::optional<item>& into) {
        if (!next_.valid()) {
            run.done.reserve_one();
            next_ = run.group->spawn(next(fn_));
            run.done.add(future_access::state(next_), number_of(0, 0));
        }
        if (!next_.done()) return pulled::nothing;
        asked got = std::exchange(next_, {}).get();
        into = std::move(got).value();
        return into ? pulled::item : pulled::end;
    }
    std::size_t begin() noexcept { return 0; }
    void arrived(std::size_t) noexcept {}
    void cancel() noexcept {
        if (next_.valid()) next_.cancel();
    }

  private:
    using asked = outcome<std::optional<item>>;
    // A failure is an item's, not the group's.
    static task<asked> next(F& fn) {
        try {
            co_return asked{co_await fn()};
        } catch (...) {
            co_return asked{std::current_exception()};
        }
    }

    F fn_;
    future<asked> next_;
};

/// What gives an async_generator's items.
template <class Generator>
class next_of_generator {
  public:
    explicit next_of_generator(Generator&& g) noexcept : all_{std::move(g)} {}
    task<std::optional<typename Generator::value_type>> operator()() {
        std::optional<typename Generator::value_type> item;
        auto* const next = co_await all_.next();
        if (next != nullptr) item.emplace(std::move(*next));
        co_return item;
    }

  private:
    Generator all_;
};

template <class Producer>
auto choose_source() {
    using plain = std::remove_cvref_t<Producer>;
    if constexpr (is_async_generator<plain>) {
        static_assert(!std::is_lvalue_reference_v<Producer>,
                      "plait: a pipeline owns its async_generator: std::move it");
        return std::type_identity<awaited_source<next_of_generator<plain>>>{};
    } else if constexpr (std::ranges::input_range<std::remove_reference_t<Producer>> ||
                         requires(std::remove_reference_t<Producer>& r) { r.begin() == r.end(); }) {
        return std::type_identity<range_source<Producer>>{};
    } else {
        static_assert(std::invocable<std::decay_t<Producer>&>,
                      "plait: a pipeline begins with a range, a generator, or a function that returns "
                      "std::optional<T>");
        using given = std::invoke_result_t<std::decay_t<Producer>&>;
        static_assert(
            is_optional<task_value_t<given>>,
            "plait: a pipeline's producing function returns std::optional<T> or task<std::optional<T>>, "
            "empty at the end");
        if constexpr (is_task<given>)
            return std::type_identity<awaited_source<std::decay_t<Producer>>>{};
        else
            return std::type_identity<function_source<std::decay_t<Producer>>>{};
    }
}
template <class Producer>
using pipeline_source = typename decltype(choose_source<Producer>())::type;

} // namespace plait::detail
