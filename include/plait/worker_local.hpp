// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/function.hpp>
#include <plait/detail/worker.hpp>

namespace plait {

namespace detail {
[[gnu::visibility("default")]] std::uint64_t new_local_key() noexcept;
/// The calling worker's value for `key`; null if it has none yet.
[[gnu::visibility("default")]] void* find_local(std::uint64_t key) noexcept;
[[gnu::visibility("default")]] void add_local(std::uint64_t key, void* value,
                                              void (*destroy)(void*) noexcept);
} // namespace detail

/// One T for each worker of whichever executor runs the task: a session, a buffer, a random generator.
///
///     plait::worker_local<plait::http::session> session;
///     std::size_t download(std::string url) { return session->get_blocking(url).body.size(); }
///
/// Made at the worker's first use, there, and at the same address ever after. A thread of a pool is a worker;
/// so is the one thread of a loop, and a serial executor. Threads that are no workers have one each as well.
///
/// Threads:   each worker sees its own T alone, so T needs no locks. After a co_await a task of a pool may be
///            on another worker: take a new reference.
/// Lifetime:  T dies on its own worker, before the executor's shutdown returns, the last one made first.
/// Errors:    if T's constructor throws, that use fails, and the next one tries again.
/// Cost:      a look through the worker's few values.
template <class T>
class worker_local {
  public:
    worker_local()
        requires std::is_default_constructible_v<T>
        : make_{[] { return new T{}; }}, key_{detail::new_local_key()} {}

    /// `make()` gives the T of a worker; called on several workers at the same time.
    template <class F>
        requires std::is_invocable_r_v<T, F&>
    explicit worker_local(F make)
        : make_{[make = std::move(make)]() mutable { return new T(make()); }},
          key_{detail::new_local_key()} {}

    worker_local(const worker_local&) = delete;
    worker_local& operator=(const worker_local&) = delete;

    /// The calling worker's T.
    T& get() const {
        if (void* value = detail::find_local(key_)) return *static_cast<T*>(value);
        T* const value = make_();
        try {
            detail::add_local(key_, value, [](void* v) noexcept { delete static_cast<T*>(v); });
        } catch (...) {
            delete value;
            throw;
        }
        return *value;
    }
    T& operator*() const { return get(); }
    T* operator->() const { return &get(); }

  private:
    mutable detail::function<T*()> make_;
    std::uint64_t key_; // never used again: a slot that follows this one starts fresh
};

} // namespace plait
