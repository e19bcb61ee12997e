// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/exception_codec.hpp>
#include <plait/detail/identity.hpp>
#include <plait/detail/process_entry.hpp>
#include <plait/detail/process_task.hpp>
#include <plait/detail/send_check.hpp>
#include <plait/serial.hpp>
#include <plait/serialize.hpp>

namespace plait::detail {

/// The executor that runs a worker's tasks: in the worker's only thread, with its `this_task` and
/// `worker_local`.
[[gnu::visibility("default")]] serial& worker_executor();

/// In the running task's scope: its name, which attempt it is, and when its time is over.
[[gnu::visibility("default")]] void begin_worker_task() noexcept;

/// The callable as the worker's executor gets it.
template <class F>
struct worker_callable {
    F f;
    template <class... Args>
    decltype(auto) operator()(Args&&... args) {
        begin_worker_task();
        return detail::invoke(std::move(f), std::forward<Args>(args)...);
    }
};

/// Makes the error of an argument's loader, from within its handler: which argument, and why.
[[noreturn, gnu::visibility("default")]] void throw_unreadable_argument(std::size_t number);

template <class T, std::size_t Number>
T decode_argument(byte_reader& in) {
    try {
        return decode<T>(in);
    } catch (...) {
        throw_unreadable_argument(Number);
    }
}

/// `submit(f, args...)` on its way: written here, run by `entry` in a worker.
template <class F, class... Args>
struct process_call {
    using result = task_value_t<std::invoke_result_t<F, Args...>>;

    static void write(byte_writer& out, const F& f, const Args&... args) {
        encode_callable(out, f);
        (encode(out, args), ...);
    }

    static void entry(byte_reader& in, byte_writer& out) {
        F f = decode_callable<F>(in);
        auto call = [&]<std::size_t... I>(std::index_sequence<I...>) {
            // In braces: read from left to right.
            return std::tuple<worker_callable<F>, Args...>{worker_callable<F>{std::move(f)},
                                                           decode_argument<Args, I + 1>(in)...};
        }(std::index_sequence_for<Args...>{});
        in.forget_descriptors();
        auto ended = std::apply([](auto&&... part) { return worker_executor().submit(std::move(part)...); },
                                std::move(call));
        if constexpr (std::is_void_v<result>)
            ended.get();
        else
            encode<std::remove_cvref_t<result>>(out, ended.get());
    }

    static code_place where() {
        static const code_place p = place_of(reinterpret_cast<const void*>(&entry));
        return p;
    }

    /// What stands before the arguments if the code is in a library.
    static void write_function(byte_writer& out) {
        if (where() == elsewhere) write_place(out, reinterpret_cast<const void*>(&entry));
    }
};

} // namespace plait::detail
