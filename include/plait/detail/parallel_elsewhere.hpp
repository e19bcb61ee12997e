// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <plait/detail/arrivals.hpp>
#include <plait/detail/parallel_fold.hpp>
#include <plait/future.hpp>
#include <plait/parallel.hpp>
#include <plait/this_task.hpp>

// The algorithms on executors whose workers may have memory of their own: pieces go there as values, by map.

namespace plait::detail {

inline std::size_t piece_size(std::size_t n, std::size_t workers, const parallel_options& options) noexcept {
    if (options.deterministic) return fold_block;
    if (options.grain != 0) return options.grain;
    const std::size_t n_each =
        options.schedule == schedule::fixed ? (n + workers - 1) / workers : n / (8 * workers);
    return n_each == 0 ? 1 : options.schedule == schedule::fixed || n_each < fold_block ? n_each : fold_block;
}

/// Numbers from 0 on, each as `make(number)`: what map pulls.
template <class F>
class made_range {
  public:
    made_range(std::size_t n, F make) : size_{n}, make_{std::move(make)} {}

    class iterator {
      public:
        using value_type = std::invoke_result_t<const F&, std::size_t>;
        using difference_type = std::ptrdiff_t;

        iterator() noexcept = default;
        iterator(const made_range& range, std::size_t at) noexcept : range_{&range}, at_{at} {}
        value_type operator*() const { return range_->make_(at_); }
        iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept { return {*range_, at_++}; }
        bool operator==(const iterator& other) const noexcept { return at_ == other.at_; }

      private:
        const made_range* range_ = nullptr;
        std::size_t at_ = 0;
    };

    iterator begin() const noexcept { return {*this, 0}; }
    iterator end() const noexcept { return {*this, size_}; }

  private:
    std::size_t size_;
    F make_;
};

/// Coordinate I of each point of a space, in row-major order.
template <std::size_t I, std::size_t D>
auto coordinates(const index_space<D>& space) {
    std::size_t below = 1;
    for (std::size_t d = I + 1; d < D; ++d) below *= space.extent(d);
    return made_range{space.size(),
                      [below, extent = space.extent(I)](std::size_t at) { return at / below % extent; }};
}

/// `map_unordered` to its end; the first failure comes out, and the rest is cancelled.
template <class E, class F, class... Ranges>
void map_to_the_end(E& ex, std::size_t n, const parallel_options& options, F& fn, Ranges&&... ranges) {
    const std::size_t workers = ex.concurrency();
    const std::size_t chunk = piece_size(n, workers, options);
    for (auto&& done : ex.map_unordered(fn, std::forward<Ranges>(ranges)...,
                                        map_options{.window = 4 * workers * chunk, .chunk = chunk})) {
        static_cast<void>(done);
        this_task::checkpoint();
    }
}

template <class E, class Items, class F>
void for_each_elsewhere(E& ex, Items& items, F fn, const parallel_options& options) {
    this_task::checkpoint();
    if constexpr (is_index_space<std::remove_cvref_t<Items>>) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            map_to_the_end(ex, items.size(), options, fn, coordinates<I>(items)...);
        }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(items.extents())>>>{});
    } else {
        constexpr bool takes_values = std::invocable<F&, std::ranges::range_value_t<Items>>;
        static_assert(
            takes_values,
            "plait: this for_each would change items in place, but the workers of this executor may have "
            "memory of their own; take the item by value or const&, and use ex.map or transform_reduce "
            "for what comes of it, or use a thread_pool");
        if constexpr (takes_values)
            map_to_the_end(ex, static_cast<std::size_t>(std::ranges::size(items)), options, fn, items);
    }
}

namespace sent {

/// What a worker does to a piece of a reduction, sent along as a value.
template <class T, class Combine, class Transform>
struct folder {
    using sent_parts = std::tuple<Combine, Transform>; // what has to be sendable

    [[no_unique_address]] Combine combine;
    [[no_unique_address]] Transform transform;

    /// The items themselves.
    template <class Item>
    T operator()(const std::vector<Item>& items) const {
        return run(items, 0, items.size());
    }
    /// Points of an index space: from, to, and its extents.
    template <std::size_t N>
    T operator()(const std::array<std::size_t, N>& piece) const {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return run(index_space{piece[I + 2]...}, piece[0], piece[1]);
        }(std::make_index_sequence<N - 2>{});
    }

    template <class Archive>
    void serialize(Archive& archive) {
        if constexpr (!std::is_empty_v<Combine>) archive(combine);
        if constexpr (!std::is_empty_v<Transform>) archive(transform);
    }

  private:
    template <class Items>
    T run(const Items& items, std::size_t from, std::size_t to) const {
        Combine c = combine;
        Transform t = transform;
        return fold<T>(source_of<const Items&>{items}, from, to, c, t);
    }
};

} // namespace sent

template <class T, class Combine>
T combine_parts(std::vector<std::optional<T>>& parts, T init, Combine& combine, bool deterministic) {
    if (parts.empty()) return init;
    if (deterministic)
        return static_cast<T>(detail::invoke(combine, std::move(init), combine_in_tree(parts, combine)));
    T sum = std::move(init);
    for (auto& part : parts) sum = static_cast<T>(detail::invoke(combine, std::move(sum), *std::move(part)));
    return sum;
}

/// `results` gives a sum for each piece.
template <class T, class Results, class Combine>
T combine_pieces(Results&& results, T init, Combine& combine, bool deterministic) {
    std::vector<std::optional<T>> parts;
    for (auto&& part : results) {
        parts.emplace_back(std::move(part));
        this_task::checkpoint();
    }
    return combine_parts(parts, std::move(init), combine, deterministic);
}

/// Values of Items, in the order of the items: folded as those would be where they are, chain by chain.
template <class Items, class Value>
struct values_of : source_of<std::vector<Value>&> {
    explicit values_of(std::vector<Value>& values) : source_of<std::vector<Value>&>{values} {}
    static constexpr bool random_access = source_of<Items&>::random_access;
};

/// `results` gives each item's value: they are combined here, in the same pieces.
template <class Items, class T, class Results, class Combine>
T combine_items(Results&& results, std::size_t size, T init, Combine& combine, bool deterministic) {
    using value = std::remove_cvref_t<decltype(*results.begin())>;
    std::vector<std::optional<T>> parts;
    std::vector<value> piece;
    as_it_is same;
    const auto end_piece = [&] {
        parts.emplace_back(fold<T>(values_of<Items, value>{piece}, 0, piece.size(), combine, same));
        piece.clear();
    };
    for (auto&& item : results) {
        piece.push_back(std::move(item));
        if (piece.size() == size) end_piece();
        this_task::checkpoint();
    }
    if (!piece.empty()) end_piece();
    return combine_parts(parts, std::move(init), combine, deterministic);
}

template <class E, class Items, class T, class Combine, class Transform>
T transform_reduce_elsewhere(E& ex, Items& items, T init, Combine& combine, Transform& transform,
                             const parallel_options& options) {
    this_task::checkpoint();
    const std::size_t workers = ex.concurrency();
    const std::size_t n = source_of<Items&>{items}.size();
    const std::size_t size = piece_size(n, workers, options);
    // A class can be put into another one and sent along; a function cannot, so its values come back one by one.
    if constexpr (std::is_class_v<Combine> && std::is_class_v<Transform>) {
        const auto end_of = [n, size](std::size_t i) { return n - i * size < size ? n : (i + 1) * size; };
        const auto make = [&](std::size_t i) {
            if constexpr (is_index_space<std::remove_cvref_t<Items>>) {
                return std::apply([&](auto... e) { return std::array{i * size, end_of(i), e...}; },
                                  items.extents());
            } else {
                using difference = std::ranges::range_difference_t<Items>;
                const auto first = std::ranges::begin(items);
                return std::vector<std::ranges::range_value_t<Items>>(
                    first + static_cast<difference>(i * size), first + static_cast<difference>(end_of(i)));
            }
        };
        return combine_pieces<T>(ex.map(sent::folder<T, Combine, Transform>{combine, transform},
                                        made_range{(n + size - 1) / size, make},
                                        map_options{.window = 4 * workers, .chunk = 1}),
                                 std::move(init), combine, options.deterministic);
    } else {
        const map_options how{.window = 4 * workers * size, .chunk = size};
        if constexpr (is_index_space<std::remove_cvref_t<Items>>) {
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return combine_items<Items, T>(ex.map(transform, coordinates<I>(items)..., how), size,
                                               std::move(init), combine, options.deterministic);
            }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(items.extents())>>>{});
        } else {
            return combine_items<Items, T>(ex.map(transform, items, how), size, std::move(init), combine,
                                           options.deterministic);
        }
    }
}

template <class T, class Result>
void read_into(future<T>& from, std::optional<Result>& to) {
    if constexpr (std::is_void_v<T>) {
        from.get();
        to.emplace();
    } else {
        to.emplace(from.get());
    }
}

/// Each function is a task. The first that fails, and whoever stops the caller, cancels the others; all are waited for.
template <class E, class Results, class... F>
void invoke_elsewhere(E& ex, Results& results, F&&... functions) {
    this_task::checkpoint();
    auto futures = std::tuple<future<kept_result_t<F&>>...>{ex.submit(std::forward<F>(functions))...};
    const auto cancel_all = [&futures] { std::apply([](auto&... f) { (f.cancel(), ...); }, futures); };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        std::size_t failed = arrivals::nothing;
        {
            const stop_callback stopped{this_task::stop_token(), cancel_all};
            arrivals ended;
            (ended.add(future_access::state(std::get<I>(futures)), I), ...);
            while (ended.pending() != 0) {
                const std::size_t i = ended.next(time_point::max());
                if (failed != arrivals::nothing) continue;
                if (((i == I && future_access::state(std::get<I>(futures)).failed()) || ...)) {
                    failed = i;
                    cancel_all();
                }
            }
        }
        ((failed == I ? static_cast<void>(std::get<I>(futures).get()) : void()), ...); // throws
        ((read_into(std::get<I>(futures), std::get<I>(results))), ...);
    }(std::index_sequence_for<F...>{});
}

} // namespace plait::detail
