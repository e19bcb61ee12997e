// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/fragile.hpp>
#include <plait/detail/pipeline_source.hpp>
#include <plait/shield.hpp>
#include <vector>

// What a pipeline is made of: a chain of stages around a source, each pulling from the one before. Nothing here waits
// but the two that drive it, run_pipeline and run_pipeline_async: everything else does what can be done now.

namespace plait {
template <class Chain, bool Fragile>
class pipeline_stages;
} // namespace plait

namespace plait::detail {

[[noreturn, gnu::visibility("default")]] void throw_stage_window();
[[noreturn, gnu::visibility("default")]] void throw_pipeline_on_own_loop();

/// A function on an executor, and the items that are with it.
template <class Source, class Executor, class F>
class pipeline_stage {
    using in = typename Source::item;
    static_assert(std::invocable<F&, in>,
                  "plait: this stage's function cannot be called with what comes from the stage "
                  "before it");
    using raw = std::invoke_result_t<F&, in>;
    using R = task_value_t<raw>;
    static constexpr std::size_t none = ~std::size_t{0};
    struct place {
        future<chunk_result<R>> pending;
        std::size_t next = none; // unordered: in the list of those that are free, or done
    };

  public:
    using item = map_value<R>;
    static constexpr bool waits = Source::waits;

    pipeline_stage(Source&& source, Executor& ex, F fn, std::size_t window, bool ordered)
        : source_{std::move(source)}, executor_{&ex}, fn_{std::move(fn)}, window_{window}, ordered_{ordered} {
        if (window == 0) throw_stage_window();
    }

    /// Before the first pull, in its last place: numbers the stages.
    std::size_t begin() {
        number_ = source_.begin() + 1;
        return number_;
    }

    /// Takes in one item if there is room, and gives one if there is any: so that a stage whose results are always there
    /// does not run dry, and one whose source is slow passes on what it has.
    pulled pull(pipeline_run& run, std::optional<item>& into) {
        const bool moved = !source_ended_ && under_way_ < window_ && take_in(run);
        if (give(into)) return pulled::item;
        if (moved) return pulled::moved;
        if (!source_ended_ || under_way_ != 0) return pulled::nothing;
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
        return pulled::end;
    }

    void arrived(std::size_t number) {
        if (number >> bits_of_place != number_)
            source_.arrived(number);
        else if (!ordered_)
            append_done(number & ((std::size_t{1} << bits_of_place) - 1));
    }

    void refuse_own_loop() const {
        if constexpr (requires { executor_->blocks_itself(); })
            if (executor_->blocks_itself()) throw_pipeline_on_own_loop();
        if constexpr (requires { source_.refuse_own_loop(); }) source_.refuse_own_loop();
    }
    void cancel() noexcept {
        for (place& p : places_)
            if (p.pending.valid()) p.pending.cancel();
        source_.cancel();
    }
    void wait() noexcept {
        for (place& p : places_)
            if (p.pending.valid()) p.pending.wait();
        source_.wait();
    }

  private:
    // True: something has changed.
    bool take_in(pipeline_run& run) {
        try {
            std::optional<in> x;
            switch (source_.pull(run, x)) {
            case pulled::item:
                launch(run, std::move(*x));
                return true;
            case pulled::moved:
                return true;
            case pulled::nothing:
                return false;
            case pulled::end:
                break;
            }
        } catch (...) {
            failure_ = std::current_exception(); // after the items before it
        }
        source_ended_ = true;
        return true;
    }

    void launch(pipeline_run& run, in&& x) {
        // All memory before it begins: what runs and is not heard of would be waited for in vain.
        const std::size_t at = free_place();
        run.done.reserve_one();
        std::vector<std::tuple<in>> one;
        one.emplace_back(std::move(x));
        places_[at].pending = submit_chunk<R>(*executor_, fn_, std::move(one));
        ++under_way_;
        ++taken_;
        run.done.add(future_access::state(places_[at].pending), number_of(number_, at));
    }

    // Ordered: one after the other, in a circle.
    std::size_t free_place() {
        if (ordered_) {
            if (places_.size() < window_ && taken_ == places_.size()) places_.emplace_back();
            return taken_ % window_;
        }
        if (free_ != none) return std::exchange(free_, places_[free_].next);
        places_.emplace_back();
        return places_.size() - 1;
    }

    void append_done(std::size_t at) noexcept {
        places_[at].next = none;
        (done_first_ == none ? done_first_ : places_[done_last_].next) = at;
        done_last_ = at;
    }

    // False: none is done.
    bool give(std::optional<item>& into) {
        std::size_t at = given_ % window_;
        if (ordered_) {
            if (under_way_ == 0 || !places_[at].pending.done()) return false;
        } else {
            if (done_first_ == none) return false;
            at = std::exchange(done_first_, places_[done_first_].next);
            places_[at].next = std::exchange(free_, at);
        }
        ++given_;
        --under_way_;
        outcome<chunk_result<R>> landed = std::exchange(places_[at].pending, {}).get_outcome();
        if (!landed) std::rethrow_exception(landed.error()); // cancelled by shutdown, or lost with its worker
        if constexpr (std::is_void_v<R>) {
            std::move(landed->items[0]).value();
            into.emplace();
        } else {
            into.emplace(std::move(landed->items[0]).value());
        }
        return true;
    }

    Source source_;
    Executor* executor_;
    F fn_;
    std::size_t window_;
    bool ordered_;

    std::size_t number_ = 0;
    std::vector<place> places_;
    std::size_t free_ = none;       // unordered: the last one that was given back
    std::size_t done_first_ = none; // unordered: in the order in which they were done
    std::size_t done_last_ = none;
    std::size_t under_way_ = 0; // taken and not given
    std::size_t taken_ = 0;
    std::size_t given_ = 0;
    bool source_ended_ = false;
    std::exception_ptr failure_; // the source's
};

struct dropped_items {
    template <class T>
    void operator()(T&&) const noexcept {}
};
inline constexpr dropped_items drop_items{};

template <class Consumer, class Item>
decltype(auto) hand_to(Consumer& consumer, Item&& x) {
    if constexpr (std::invocable<Consumer&, Item>) {
        return consumer(std::forward<Item>(x));
    } else {
        static_assert(std::is_same_v<Item, std::monostate> && std::invocable<Consumer&>,
                      "plait: the pipeline's consumer cannot be called with what comes from its last stage");
        return consumer();
    }
}

/// Everybody who is told of an arrival, before the next pull.
template <class Chain>
void take_arrivals(pipeline_run& run, Chain& chain) {
    for (;;) {
        const std::size_t number = run.done.poll();
        if (number == arrivals::nothing) return;
        chain.arrived(number);
    }
}

template <class Chain>
class pipeline_end_guard {
  public:
    explicit pipeline_end_guard(Chain& chain) noexcept : chain_{chain} {}
    pipeline_end_guard(const pipeline_end_guard&) = delete;
    ~pipeline_end_guard() {
        chain_.cancel();
        chain_.wait();
    }

  private:
    Chain& chain_;
};

template <class Chain, class Consumer>
void run_pipeline(Chain& chain, Consumer& consumer) {
    static_assert(!Chain::waits,
                  "plait: this pipeline's producer has to be awaited: co_await ... .into_async(consumer)");
    if constexpr (requires { chain.refuse_own_loop(); }) chain.refuse_own_loop();
    pipeline_run run;
    chain.begin();
    const pipeline_end_guard<Chain> whole{chain}; // nothing runs any more when `run` goes
    for (;;) {
        take_arrivals(run, chain);
        std::optional<typename Chain::item> x;
        const pulled what = chain.pull(run, x);
        if (what == pulled::end) return;
        if (what == pulled::item) hand_to(consumer, std::move(*x));
        if (what == pulled::nothing) chain.arrived(run.done.next(time_point::max()));
    }
}

template <class Chain, class Consumer>
task<void> drive_pipeline(Chain& chain, Consumer& consumer, pipeline_run& run) {
    using consumed = decltype(hand_to(consumer, std::declval<typename Chain::item>()));
    for (;;) {
        take_arrivals(run, chain);
        std::optional<typename Chain::item> x;
        const pulled what = chain.pull(run, x);
        if (what == pulled::end) co_return;
        if (what == pulled::item) {
            if constexpr (is_task<consumed>)
                co_await hand_to(consumer, std::move(*x));
            else
                hand_to(consumer, std::move(*x));
        }
        if (what == pulled::nothing) {
            const std::size_t number = co_await run.done.next_async();
            chain.arrived(number);
        }
    }
}

/// Until nothing is under way.
inline task<void> settle_pipeline(pipeline_run& run) {
    while (run.done.pending() != 0) co_await run.done.next_async();
}

template <class Chain, class Consumer>
task<void> run_pipeline_async(Chain chain, Consumer consumer) {
    pipeline_run run;
    chain.begin();
    task<void> rest = settle_pipeline(run); // made now: at the end it must not fail for want of memory
    std::exception_ptr failure;
    const auto body = [&](task_group& group) -> task<void> {
        run.group = &group;
        try {
            co_await drive_pipeline(chain, consumer, run);
        } catch (...) {
            failure = std::current_exception();
        }
        chain.cancel();
        co_await shield(std::move(rest));
    };
    co_await with_group(body);
    if (failure) std::rethrow_exception(failure);
}

} // namespace plait::detail
