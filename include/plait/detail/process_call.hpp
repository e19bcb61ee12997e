// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/exception_codec.hpp>
#include <plait/detail/identity.hpp>
#include <plait/detail/process_task.hpp>
#include <plait/detail/send_check.hpp>
#include <plait/future.hpp>
#include <plait/serialize.hpp>

namespace plait::detail {

/// The executor that runs a worker's tasks: in the worker's only thread, with its `this_task` and
/// `worker_local`.
[[gnu::visibility("default")]] in_process_executor& worker_executor();

/// What `this_task` shows of a worker's task.
struct worker_stamp {
    int attempt;
    const char* name; // lives as long as the task
    std::int64_t deadline;
};
[[gnu::visibility("default")]] worker_stamp stamp_of_task() noexcept;
/// In the running task's scope.
[[gnu::visibility("default")]] void begin_worker_task(const worker_stamp& stamp) noexcept;

/// A task on a worker's loop, which goes on after its code has returned.
class [[gnu::visibility("default")]] pending_result : public completion {
  public:
    virtual ~pending_result() = default;
    /// Requires it to be done. Throws what the task threw.
    virtual void write(byte_writer& out) = 0;
    virtual void stop() noexcept = 0;

    using listener = void(void* self, pending_result& result) noexcept;
    /// Once, when it is done; at once if it is. After the call this may be gone.
    void tell(listener* whom, void* self) noexcept {
        whom_ = whom;
        self_ = self;
        if (state().add_hook(*this) == state_base::added::ready) whom(self, *this);
    }
    bool claim() noexcept final { return true; }
    void fire() noexcept final { whom_(self_, *this); }

    pending_result* next_done = nullptr; // the listener's

  private:
    virtual state_base& state() noexcept = 0;
    listener* whom_ = nullptr;
    void* self_ = nullptr;
};

template <class R>
class pending_result_of final : public pending_result {
  public:
    void come_from(future<R>&& f) noexcept { future_ = std::move(f); }
    void write(byte_writer& out) override {
        if constexpr (std::is_void_v<R>)
            future_.get();
        else
            encode<std::remove_cvref_t<R>>(out, future_.get());
    }
    void stop() noexcept override { future_.cancel(); }

  private:
    state_base& state() noexcept override { return future_access::state(future_); }
    future<R> future_;
};

/// Runs `body(what)`, which throws nothing, as a task of the worker's executor: on this thread, in a scope of its own, with
/// an entry in the registry; and returns when it has. Of these there is one at a time.
[[gnu::visibility("default")]] void run_function(void (*body)(void* what), void* what) noexcept;

/// A plain function as a worker's task. Nobody there waits for it, stops it or times it, so it needs no future.
template <class Call>
std::invoke_result_t<Call&> run_in_worker(Call& call) {
    using R = std::invoke_result_t<Call&>;
    struct place {
        Call& call;
        std::optional<outcome<R>> result;
    } here{call, std::nullopt};
    run_function(
        [](void* what) {
            auto& p = *static_cast<place*>(what);
            p.result.emplace(outcome_of(p.call));
        },
        &here);
    return std::move(*here.result).value();
}

/// The callable as the worker's executor gets it.
template <class F>
struct worker_callable {
    F f;
    worker_stamp stamp = stamp_of_task();
    template <class... Args>
    decltype(auto) operator()(Args&&... args) {
        begin_worker_task(stamp);
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
        const auto submit = [&] {
            return std::apply([](auto&&... part) { return worker_executor().submit(std::move(part)...); },
                              std::move(call));
        };
        if constexpr (!is_task<std::invoke_result_t<F, Args...>>) {
            if (!this_worker().drives_loop) {
                auto run = [&]() -> result {
                    return std::apply([](auto& g, auto&... arg) -> result { return g(std::move(arg)...); },
                                      call);
                };
                if constexpr (std::is_void_v<result>)
                    run_in_worker(run);
                else
                    encode<std::remove_cvref_t<result>>(out, run_in_worker(run));
                return;
            }
        }
        if (this_worker().takes_pending) {
            // Before it begins: nothing can fail between its begin and the note of it.
            auto* const later = new pending_result_of<result>;
            this_worker().pending = later;
            later->come_from(submit());
        } else if constexpr (std::is_void_v<result>) {
            submit().get();
        } else {
            encode<std::remove_cvref_t<result>>(out, submit().get());
        }
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
