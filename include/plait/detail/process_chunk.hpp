// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/map.hpp>
#include <plait/detail/process_job.hpp>

namespace plait::detail {

/// A chunk of a map's items on its way: one task, every item's outcome apart.
template <class R, class F, class... Args>
struct process_chunk {
    enum class kind : std::uint8_t { value, exception, cancelled };

    static void write(byte_writer& out, const F& f, const std::vector<std::tuple<Args...>>& items) {
        encode_callable(out, f);
        out.put(static_cast<std::uint64_t>(items.size()));
        for (const std::tuple<Args...>& item : items)
            std::apply([&](const Args&... part) { (encode(out, part), ...); }, item);
    }

    static void entry(byte_reader& in, byte_writer& out) {
        const F f = decode_callable<F>(in);
        auto left = in.take<std::uint64_t>();
        // Results go to the memory that the arguments came in: an item's result may be longer than the item,
        // and must not overtake what has not been read yet.
        const auto size = static_cast<std::size_t>(in.remaining());
        alignas(16) std::byte near[256]; // NOLINT: as most chunks are small
        byte_buffer bytes{near, sizeof(near)};
        in.read(bytes.extend(size), size);
        memory_reader items{bytes.data(), size};
        items.descriptors = in.descriptors;
        for (; left != 0; --left) run_one(f, items, out, left == 1);
    }

    static void run_one(const F& f, byte_reader& in, byte_writer& out, bool last) {
        const outcome<R> result = detail::outcome_of([&]() -> R {
            auto call = [&]<std::size_t... I>(std::index_sequence<I...>) {
                return std::tuple<worker_callable<F>, Args...>{worker_callable<F>{f},
                                                               decode_argument<Args, I + 1>(in)...};
            }(std::index_sequence_for<Args...>{});
            if (last) in.forget_descriptors();
            if constexpr (!is_task<std::invoke_result_t<F, Args...>>) {
                if (!this_worker().drives_loop) {
                    auto run = [&]() -> R {
                        return std::apply([](auto& g, auto&... arg) -> R { return g(std::move(arg)...); },
                                          call);
                    };
                    return run_in_worker(run);
                }
            }
            return std::apply([](auto&&... part) { return worker_executor().submit(std::move(part)...); },
                              std::move(call))
                .get();
        });
        if (result.has_value()) {
            out.put(kind::value);
            if constexpr (!std::is_void_v<R>) encode<R>(out, *result);
        } else if (is_cancellation(result.error())) {
            out.put(kind::cancelled);
        } else {
            out.put(kind::exception);
            write_exception(out, result.error());
        }
    }

    static code_place where() {
        static const code_place p = place_of(reinterpret_cast<const void*>(&entry));
        return p;
    }
    static void write_function(byte_writer& out) {
        if (where() == elsewhere) write_place(out, reinterpret_cast<const void*>(&entry));
    }
};

template <class R>
struct process_result_codec<chunk_result<R>> {
    static chunk_result<R> read(byte_reader& in, const exception_origin& origin) {
        using kind = typename process_chunk<R, void (*)()>::kind;
        chunk_result<R> result;
        while (in.remaining() != 0) {
            switch (in.take<kind>()) {
            case kind::value:
                result.items.push_back(detail::outcome_of([&]() -> R {
                    if constexpr (!std::is_void_v<R>) return decode<R>(in);
                }));
                break;
            case kind::cancelled:
                result.items.push_back(outcome<R>{cancelled_error()});
                break;
            case kind::exception:
                result.items.push_back(outcome<R>{read_exception(in, origin)});
                break;
            }
        }
        // A crash costs a whole chunk, so a map may not make chunks larger of its own accord: to its
        // reckoning every item is dear. What a task costs beside its work is small here, since a lane is fed
        // ahead.
        result.spent = std::chrono::seconds{1} * static_cast<std::int64_t>(result.items.size());
        return result;
    }
};

} // namespace plait::detail
