// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace plait::detail {

template <class Signature>
class function;

/// A callable of any type, owned and move-only: std::move_only_function before its time, without
/// <functional>. Up to three pointers' worth is kept inside, the rest on the heap. Empty ones must not be
/// called.
template <class R, class... Args>
class function<R(Args...)> {
    static constexpr std::size_t room = 3 * sizeof(void*);
    template <class F>
    static constexpr bool fits =
        sizeof(F) <= room && alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;

    struct operations {
        R (*call)(void*, Args&&...);
        void (*move)(void* from, void* to) noexcept; // and destroys `from`
        void (*destroy)(void*) noexcept;
    };

  public:
    function() noexcept = default;
    function(std::nullptr_t) noexcept {}
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, function> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    function(F&& f) {
        using callable = std::decay_t<F>;
        if constexpr (std::is_pointer_v<callable>) {
            if (f == nullptr) return;
        }
        if constexpr (fits<callable>)
            ::new (static_cast<void*>(storage_)) callable(std::forward<F>(f));
        else
            ::new (static_cast<void*>(storage_)) callable*(new callable(std::forward<F>(f)));
        operations_ = &table<callable>;
    }
    function(function&& other) noexcept { take(other); }
    function& operator=(function&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~function() { reset(); }

    explicit operator bool() const noexcept { return operations_ != nullptr; }
    R operator()(Args... args) { return operations_->call(storage_, static_cast<Args&&>(args)...); }

  private:
    template <class F>
    static F& target(void* storage) noexcept {
        if constexpr (fits<F>)
            return *std::launder(static_cast<F*>(storage));
        else
            return **static_cast<F**>(storage);
    }
    template <class F>
    static constexpr operations table{[](void* s, Args&&... args) -> R {
                                          return static_cast<R>(target<F>(s)(static_cast<Args&&>(args)...));
                                      },
                                      [](void* from, void* to) noexcept {
                                          if constexpr (fits<F>) {
                                              ::new (to) F(std::move(target<F>(from)));
                                              target<F>(from).~F();
                                          } else {
                                              ::new (to) F*(*static_cast<F**>(from));
                                          }
                                      },
                                      [](void* s) noexcept {
                                          if constexpr (fits<F>)
                                              target<F>(s).~F();
                                          else
                                              delete *static_cast<F**>(s);
                                      }};

    void take(function& other) noexcept {
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_) operations_->move(other.storage_, storage_);
    }
    void reset() noexcept {
        if (operations_) std::exchange(operations_, nullptr)->destroy(storage_);
    }

    const operations* operations_ = nullptr;
    alignas(void*) unsigned char storage_[room];
};

} // namespace plait::detail
