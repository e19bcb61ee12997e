// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/team.hpp>

// A member's operations, each written once: it suspends or blocks as it is told.

namespace plait {

namespace detail {
/// Which collective operation a message belongs to.
enum class collective : int { barrier, broadcast, scatter, gather, reduce, borders_up, borders_down };
} // namespace detail

template <class T>
task<void> team_member::tell(std::size_t to, const T& x, int operation, waits how) {
    return core_.send(to, detail::letter::collective, operation, detail::encode_message(x), how);
}
template <class T>
task<T> team_member::hear(std::size_t from, int operation, waits how) {
    auto m = co_await core_.receive(from, detail::letter::collective, operation, how);
    co_return detail::decode_message<T>(std::move(m));
}

template <class T>
task<T> team_member::take(std::size_t from, int tag, waits how) {
    auto m = co_await core_.receive(from, detail::letter::own, tag, how);
    co_return detail::decode_message<T>(std::move(m));
}
template <class T>
task<from_member<T>> team_member::take_any(int tag, waits how) {
    std::size_t from = detail::team_core::anyone;
    auto m = co_await core_.receive(from, detail::letter::own, tag, how);
    co_return from_member<T>{from, detail::decode_message<T>(std::move(m))};
}
template <class T>
task<T> team_member::swap(std::size_t to, detail::pipe_message m, std::size_t from, int tag, waits how) {
    co_await core_.send(to, detail::letter::own, tag, std::move(m), how);
    auto got = co_await core_.receive(from, detail::letter::own, tag, how);
    co_return detail::decode_message<T>(std::move(got));
}

inline task<void> team_member::meet(waits how) {
    constexpr int operation = static_cast<int>(detail::collective::barrier);
    constexpr char here = 0;
    if (rank() != 0) {
        co_await tell(0, here, operation, how);
        static_cast<void>(co_await hear<char>(0, operation, how));
        co_return;
    }
    for (std::size_t r = 1; r < size(); ++r) static_cast<void>(co_await hear<char>(r, operation, how));
    for (std::size_t r = 1; r < size(); ++r) co_await tell(r, here, operation, how);
}

template <class T>
task<T> team_member::spread(std::size_t root, T x, waits how) {
    constexpr int operation = static_cast<int>(detail::collective::broadcast);
    if (rank() != root) {
        T got = co_await hear<T>(root, operation, how);
        co_return got;
    }
    for (std::size_t r = 0; r < size(); ++r)
        if (r != root) co_await tell(r, x, operation, how);
    co_return x;
}

template <class T>
task<T> team_member::deal(std::size_t root, std::vector<T> items, waits how) {
    constexpr int operation = static_cast<int>(detail::collective::scatter);
    if (rank() != root) {
        T got = co_await hear<T>(root, operation, how);
        co_return got;
    }
    if (items.size() != size()) detail::team_core::throw_bad_count("scatter", items.size(), size());
    for (std::size_t r = 0; r < size(); ++r)
        if (r != root) co_await tell(r, items[r], operation, how);
    co_return std::move(items[root]);
}

template <class T>
task<std::vector<T>> team_member::collect(std::size_t root, T x, waits how) {
    constexpr int operation = static_cast<int>(detail::collective::gather);
    std::vector<T> all;
    if (rank() != root) {
        co_await tell(root, x, operation, how);
        co_return all;
    }
    for (std::size_t r = 0; r < size(); ++r) {
        if (r == root) {
            all.push_back(std::move(x));
        } else {
            T got = co_await hear<T>(r, operation, how);
            all.push_back(std::move(got));
        }
    }
    co_return all;
}
template <class T>
task<std::vector<T>> team_member::collect_everywhere(T x, waits how) {
    std::vector<T> all = co_await collect(0, std::move(x), how);
    std::vector<T> same = co_await spread(0, std::move(all), how);
    co_return same;
}

template <class T, class Op>
task<T> team_member::fold(std::size_t root, T x, Op op, waits how) {
    constexpr int operation = static_cast<int>(detail::collective::reduce);
    if (rank() != root) {
        co_await tell(root, x, operation, how);
        co_return x;
    }
    // From rank 0 on, whoever is root: so the result is the same to the last bit.
    std::optional<T> result;
    for (std::size_t r = 0; r < size(); ++r) {
        T item = x;
        if (r != root) item = co_await hear<T>(r, operation, how);
        if (result)
            result.emplace(op(std::move(*result), std::move(item)));
        else
            result.emplace(std::move(item));
    }
    co_return std::move(*result);
}
template <class T, class Op>
task<T> team_member::fold_everywhere(T x, Op op, waits how) {
    T result = co_await fold(0, std::move(x), std::move(op), how);
    T same = co_await spread(0, std::move(result), how);
    co_return same;
}

template <class T>
task<void> team_member::trade_borders(std::span<T> rows, std::size_t width, std::size_t halo, waits how) {
    static_assert(std::is_trivially_copyable_v<T> && sendable<T>,
                  "plait: a grid's cells must be plain values");
    constexpr int up = static_cast<int>(detail::collective::borders_up);
    constexpr int down = static_cast<int>(detail::collective::borders_down);
    const std::size_t border = width * halo;
    if (width == 0 || rows.size() % width != 0 || rows.size() < 3 * border)
        detail::team_core::throw_bad_count("exchange_borders", rows.size(), 3 * border);
    const auto part = [&](std::size_t offset) {
        const auto cells = rows.subspan(offset, border);
        return std::vector<T>(cells.begin(), cells.end());
    };
    const auto put = [&](const std::vector<T>& cells, std::size_t offset) {
        if (cells.size() != border)
            detail::team_core::throw_bad_count("exchange_borders", cells.size(), border);
        for (std::size_t i = 0; i < border; ++i) rows[offset + i] = cells[i];
    };
    const bool above = rank() > 0;
    const bool below = rank() + 1 < size();
    if (above) co_await tell(rank() - 1, part(border), up, how);
    if (below) co_await tell(rank() + 1, part(rows.size() - 2 * border), down, how);
    if (above) {
        const std::vector<T> cells = co_await hear<std::vector<T>>(rank() - 1, down, how);
        put(cells, 0);
    }
    if (below) {
        const std::vector<T> cells = co_await hear<std::vector<T>>(rank() + 1, up, how);
        put(cells, rows.size() - border);
    }
}

} // namespace plait
