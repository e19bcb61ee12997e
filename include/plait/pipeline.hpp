// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/pipeline.hpp>

namespace plait {

/// How a stage of a pipeline goes about it; every field may be left out.
struct stage_options {
    /// Items that the stage has taken and not yet passed on, whether they wait, run or are done: what holds
    /// back the stage before. 0: invalid_argument.
    std::size_t window = 64;
    /// Pass on in the order in which the items came; else as they are done.
    bool ordered = true;
};

/// Items that go from a producer through functions on executors to a consumer, all at the same time.
///
///     plait::pipeline(urls)
///         .via(loop, download, {.window = 32})
///         .via(pool, [](std::size_t bytes) { return std::to_string(bytes) + " bytes"; })
///         .into([&](const std::string& line) { use(line); });
///
/// The producer is a range (an lvalue is referred to, an rvalue owned; it may be single-pass or endless), or a
/// function that gives a std::optional, empty at the end. A stage's function is called with the item alone,
/// and may be a coroutine function; on a process_pool it and the items have to be sendable. What the last
/// stage gives goes to the consumer, one after the other; of functions that return nothing the consumer has no
/// argument. No stage is more than its window ahead of the next one, so the memory is bounded whoever is slow.
///
/// Nothing happens before `into`, which is called once. The executors must outlive it.
///
/// Threads:       producer and consumer run on the thread that called `into`, taking turns: while one of them
///                works the stages go on with what they have, and are not given more.
/// Order:         stages are ordered unless they say otherwise.
/// Cancellation:  when `into` ends early, what has not started is cancelled and what runs waited for, so that
///                functions may refer to the caller's locals (pipeline_test, AConsumerThatThrows...).
/// Errors:        the first failure, of producer, stage or consumer, comes out of `into`. Of an ordered
///                pipeline the items before it have all come through by then. On a loop that would have to run
///                a stage meanwhile: logic_error; use `into_async` there.
/// Cost:          a task for each item and stage, at its own cost of submit, and one small allocation. For
///                items of less than some microseconds let them be batches.
///
/// As TBB's parallel_pipeline, with an executor for each stage.
template <class Producer>
[[nodiscard]] auto pipeline(Producer&& producer) {
    return pipeline_stages<detail::pipeline_source<Producer>, false>{
        detail::pipeline_source<Producer>{std::forward<Producer>(producer)}};
}

/// What `pipeline` returns; each call uses it up.
template <class Chain, bool Fragile>
class [[nodiscard]] pipeline_stages {
  public:
    explicit pipeline_stages(Chain&& chain) noexcept : chain_{std::move(chain)} {}

    /// One more stage: `fn(item)` on the executor.
    template <class Executor, class F>
    auto via(Executor& ex, F&& fn, stage_options options = {}) && {
        using stage = detail::pipeline_stage<Chain, Executor, std::decay_t<F>>;
        return pipeline_stages<stage, Fragile || detail::is_fragile<F&&>>{
            stage{std::move(chain_), ex, std::forward<F>(fn), options.window, options.ordered}};
    }

    /// Runs it, and blocks until it is over.
    template <class Consumer>
    void into(Consumer&& consumer) && {
        detail::run_pipeline(chain_, consumer);
    }
    /// For its effects alone: what the last stage gives is dropped.
    void into() && { detail::run_pipeline(chain_, detail::drop_items); }

    /// The same for a task: it suspends. The producer may then be an async_generator too, or a function that
    /// returns task<std::optional<T>>; the consumer may be a coroutine function.
    template <class Consumer>
    auto into_async(Consumer&& consumer) && {
        using result = std::conditional_t<Fragile || detail::is_fragile<Consumer&&>,
                                          detail::fragile_task<void>, task<void>>;
        return result{detail::run_pipeline_async(std::move(chain_),
                                                 std::decay_t<Consumer>(std::forward<Consumer>(consumer)))};
    }
    auto into_async() && { return std::move(*this).into_async(detail::drop_items); }

  private:
    Chain chain_;
};

} // namespace plait
