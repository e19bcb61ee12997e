// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/invoke.hpp>
#include <plait/detail/parallel_elsewhere.hpp>
#include <plait/parallel.hpp>

// for_each, the reductions, inclusive_scan and invoke.

namespace plait {
namespace detail {

template <class T, class Source, class Combine, class Transform>
T fold_in_blocks(in_process_executor& ex, const Source& items, T init, Combine& combine, Transform& transform,
                 const parallel_options& options) {
    std::vector<std::optional<T>> parts((items.size() + fold_block - 1) / fold_block);
    auto piece = [&](std::size_t, std::size_t from, std::size_t to) {
        for (; from != to; ++from) {
            const std::size_t begin = from * fold_block;
            const std::size_t left = items.size() - begin;
            parts[from].emplace(
                fold<T>(items, begin, begin + (left < fold_block ? left : fold_block), combine, transform));
        }
    };
    parallel_options of_blocks = options;
    of_blocks.grain = (options.grain + fold_block - 1) / fold_block;
    run_loop(ex, parts.size(), of_blocks, "transform_reduce", piece_function{piece});
    if (parts.empty()) return init;
    return static_cast<T>(detail::invoke(combine, std::move(init), combine_in_tree(parts, combine)));
}

template <class T, class Source, class Combine, class Transform>
T fold_in_pieces(in_process_executor& ex, const Source& items, T init, Combine& combine, Transform& transform,
                 const parallel_options& options) {
    std::vector<apart<std::optional<T>>> parts(ex.concurrency());
    auto piece = [&](std::size_t participant, std::size_t from, std::size_t to) {
        T part = fold<T>(items, from, to, combine, transform);
        std::optional<T>& mine = parts[participant].value;
        if (mine)
            *mine = static_cast<T>(detail::invoke(combine, std::move(*mine), std::move(part)));
        else
            mine.emplace(std::move(part));
    };
    run_loop(ex, items.size(), options, "transform_reduce", piece_function{piece});
    T sum = std::move(init);
    for (auto& part : parts)
        if (part.value) sum = static_cast<T>(detail::invoke(combine, std::move(sum), *std::move(part.value)));
    return sum;
}

/// Where the input is cut: by its size alone, so that the sums are grouped alike on any number of workers.
/// 512 blocks suffice for what workers there are, and cost little to add up.
struct scan_blocks {
    explicit scan_blocks(std::size_t n) noexcept
        : size{n}, block{n / 512 < 4096 ? 4096 : n / 512 + 1}, count{(n + block - 1) / block} {}
    std::size_t begin(std::size_t i) const noexcept { return i * block; }
    std::size_t end(std::size_t i) const noexcept { return i + 1 < count ? (i + 1) * block : size; }

    std::size_t size;
    std::size_t block;
    std::size_t count;
};

template <class In, class Out, class Combine>
void scan(in_process_executor& ex, const item_source<In>& in, const item_source<Out>& out, Combine& combine,
          const parallel_options& options) {
    using T = std::ranges::range_value_t<In>;
    const scan_blocks blocks{in.size()};
    std::vector<std::optional<T>> before(blocks.count); // what all blocks before this one come to
    parallel_options of_blocks = options;
    of_blocks.grain = options.grain ? (options.grain + blocks.block - 1) / blocks.block : 1;
    as_it_is same;
    auto sums = [&](std::size_t, std::size_t from, std::size_t to) {
        for (; from != to; ++from)
            before[from + 1].emplace(fold<T>(in, blocks.begin(from), blocks.end(from), combine, same));
    };
    if (blocks.count > 1) run_loop(ex, blocks.count - 1, of_blocks, "inclusive_scan", piece_function{sums});
    for (std::size_t i = 2; i < blocks.count; ++i)
        *before[i] = static_cast<T>(detail::invoke(combine, T(*before[i - 1]), *std::move(before[i])));
    auto write = [&](std::size_t, std::size_t from, std::size_t to) {
        for (; from != to; ++from) {
            std::size_t i = blocks.begin(from);
            T sum = before[from] ? static_cast<T>(detail::invoke(combine, *std::move(before[from]), in[i]))
                                 : T(in[i]);
            out[i] = sum;
            for (++i; i != blocks.end(from); ++i) {
                sum = static_cast<T>(detail::invoke(combine, std::move(sum), in[i]));
                out[i] = sum;
            }
        }
    };
    run_loop(ex, blocks.count, of_blocks, "inclusive_scan", piece_function{write});
}

[[noreturn, gnu::visibility("default")]] void throw_scan_sizes(std::size_t in, std::size_t out);

} // namespace detail

template <executor E, detail::parallel_items Items, class F>
void for_each(E& ex, Items&& items, F&& fn, parallel_options options) {
    using source = detail::source_of<Items>;
    if constexpr (!detail::runs_here<E>) {
        detail::for_each_elsewhere(ex, items, std::decay_t<F>(std::forward<F>(fn)), options);
    } else {
        static_assert(
            !detail::is_task<typename source::template result_of<F>>,
            "plait: for_each calls functions; for coroutines there are gather, with .limit, and map");
        const source all{items};
        auto piece = [&all, &fn](std::size_t, std::size_t from, std::size_t to) {
            all.visit(from, to,
                      [&fn](auto&&... item) { detail::invoke(fn, static_cast<decltype(item)&&>(item)...); });
        };
        detail::run_loop(ex, all.size(), options, "for_each", detail::piece_function{piece});
    }
}

template <executor E, detail::parallel_items Items, class T, class Combine, class Transform>
T transform_reduce(E& ex, Items&& items, T init, Combine combine, Transform transform,
                   parallel_options options) {
    static_assert(
        !detail::is_task<typename detail::source_of<Items>::template result_of<Transform>>,
        "plait: transform_reduce calls functions; for coroutines there are gather, with .limit, and map");
    if constexpr (!detail::runs_here<E>) {
        return detail::transform_reduce_elsewhere(ex, items, std::move(init), combine, transform, options);
    } else {
        const detail::source_of<Items> all{items};
        if (options.deterministic)
            return detail::fold_in_blocks(ex, all, std::move(init), combine, transform, options);
        return detail::fold_in_pieces(ex, all, std::move(init), combine, transform, options);
    }
}

template <executor E, detail::shared_range R, class T, class Combine>
    requires std::invocable<Combine&, T, std::ranges::range_reference_t<R>>
T reduce(E& ex, R&& range, T init, Combine combine, parallel_options options) {
    return plait::transform_reduce(ex, range, std::move(init), std::move(combine), detail::as_it_is{},
                                   options);
}
template <executor E, detail::shared_range R, class T>
    requires(!std::same_as<T, parallel_options>)
T reduce(E& ex, R&& range, T init, parallel_options options) {
    return plait::transform_reduce(ex, range, std::move(init), std::plus<>{}, detail::as_it_is{}, options);
}
template <executor E, detail::shared_range R>
std::ranges::range_value_t<R> reduce(E& ex, R&& range, parallel_options options) {
    return plait::transform_reduce(ex, range, std::ranges::range_value_t<R>{}, std::plus<>{},
                                   detail::as_it_is{}, options);
}

template <executor E, detail::shared_range In, detail::shared_range Out, class Combine>
void inclusive_scan(E& ex, In&& in, Out&& out, Combine combine, parallel_options options) {
    static_assert(
        detail::runs_here<E>,
        "plait: inclusive_scan writes to a range of this process, which the workers of this executor may "
        "not see; use an executor of this process: thread_pool, loop_pool, event_loop or serial");
    if constexpr (detail::runs_here<E>) {
        const detail::source_of<In> from{in};
        const detail::source_of<Out> to{out};
        if (from.size() != to.size()) detail::throw_scan_sizes(from.size(), to.size());
        detail::scan(ex, from, to, combine, options);
    }
}

template <executor E, class... F>
    requires(std::invocable<F&> && ...)
auto invoke(E& ex, F&&... functions) {
    static_assert(!(detail::is_task<std::invoke_result_t<F&>> || ...),
                  "plait: invoke calls functions; for coroutines there is gather");
    std::tuple<std::optional<detail::invoked<detail::kept_result_t<F&>>>...> results;
    if constexpr (!detail::runs_here<E>) {
        detail::invoke_elsewhere(ex, results, std::forward<F>(functions)...);
    } else {
        auto all = std::tie(functions...);
        auto piece = [&]<std::size_t... I>(std::index_sequence<I...>) {
            return [&all, &results](std::size_t, std::size_t from, std::size_t to) {
                for (; from != to; ++from)
                    ((I == from ? detail::store_result(std::get<I>(all), std::get<I>(results)) : void()),
                     ...);
            };
        }(std::index_sequence_for<F...>{});
        detail::run_tasks(ex, sizeof...(F), "invoke", detail::piece_function{piece});
    }
    if constexpr (!(std::is_void_v<std::invoke_result_t<F&>> && ...))
        return std::apply(
            [](auto&... result) {
                return std::tuple<detail::invoked<detail::kept_result_t<F&>>...>{*std::move(result)...};
            },
            results);
}

} // namespace plait
