// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace plait {

/// A value, or the exception that took its place. Members as those of std::expected<T, std::exception_ptr>.
///
///     for (plait::outcome<page>& o : co_await plait::gather_outcomes(std::move(downloads)))
///         if (o) use(*o); else report(o.error());
///
/// T may be void, move-only or a reference.
/// Threads:  like any value.
/// Errors:   `value()` rethrows the exception; `*` and `->` require `has_value()`, `error()` the opposite.
template <class T>
class outcome {
    struct unit {};
    using stored =
        std::conditional_t<std::is_void_v<T>, unit,
                           std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

  public:
    using value_type = T;
    using error_type = std::exception_ptr;

    /// void: success.
    outcome() noexcept
        requires std::is_void_v<T>
        : value_{std::in_place} {}

    template <class U>
        requires(!std::is_void_v<T> && !std::is_same_v<std::remove_cvref_t<U>, outcome> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::exception_ptr> && std::is_constructible_v<T, U>)
    outcome(U&& value) : value_{std::in_place, store(std::forward<U>(value))} {}

    /// The exception that took the value's place; not null.
    outcome(std::exception_ptr error) noexcept : error_{std::move(error)} {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; rethrows the exception if there is none.
    decltype(auto) value() & { return checked(*this); }
    decltype(auto) value() const& { return checked(*this); }
    decltype(auto) value() && { return checked(std::move(*this)); }

    /// The value, unchecked.
    decltype(auto) operator*() & noexcept { return access(*this); }
    decltype(auto) operator*() const& noexcept { return access(*this); }
    decltype(auto) operator*() && noexcept { return access(std::move(*this)); }
    auto operator->() noexcept
        requires(!std::is_void_v<T>)
    {
        return &access(*this);
    }
    auto operator->() const noexcept
        requires(!std::is_void_v<T>)
    {
        return &access(*this);
    }

    /// The value, or `fallback`.
    template <class U>
        T value_or(U&& fallback) &&
        requires(!std::is_void_v<T>) {
            return has_value() ? access(std::move(*this)) : static_cast<T>(std::forward<U>(fallback));
        }

        /// The exception; requires `!has_value()`.
        const std::exception_ptr& error() const noexcept {
        return error_;
    }

  private:
    template <class U>
    static decltype(auto) store(U&& value) {
        if constexpr (std::is_reference_v<T>)
            return &value;
        else
            return std::forward<U>(value);
    }

    template <class Self>
    static decltype(auto) access(Self&& self) noexcept {
        if constexpr (std::is_void_v<T>)
            return;
        else if constexpr (std::is_reference_v<T>)
            return static_cast<T>(**self.value_);
        else if constexpr (std::is_lvalue_reference_v<Self>)
            return (*self.value_);
        else
            return static_cast<T&&>(*self.value_);
    }

    template <class Self>
    static decltype(auto) checked(Self&& self) {
        if (!self.has_value()) std::rethrow_exception(self.error());
        return access(std::forward<Self>(self));
    }

    // Not a std::variant: <optional> costs half as much to include, and so does a future.
    std::optional<stored> value_;
    std::exception_ptr error_; // null: a value
};

namespace detail {

/// How a task has ended; none: it has not, or never began.
enum class task_end : unsigned char { none, value, error };

/// Has a task ended, and how?
class result_base {
  public:
    task_end end() const noexcept { return end_; }

  protected:
    task_end end_ = task_end::none;
};

/// A place for what a task gives, or throws: with whoever runs it, since its frame goes at its end. Nothing is
/// there before that.
template <class T>
class task_result : public result_base {
    struct unit {};
    using stored =
        std::conditional_t<std::is_void_v<T>, unit,
                           std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

  public:
    task_result() noexcept {}
    task_result(const task_result&) = delete;
    task_result& operator=(const task_result&) = delete;
    ~task_result() {
        if (end_ != task_end::none) reset();
    }

    void give()
        requires std::is_void_v<T>
    {
        end_ = task_end::value;
    }
    template <class U>
    void give(U&& value) {
        if constexpr (std::is_reference_v<T>)
            value_ = std::addressof(value);
        else
            ::new (static_cast<void*>(std::addressof(value_)))
                stored(static_cast<stored>(static_cast<U&&>(value)));
        end_ = task_end::value;
    }
    void fail(std::exception_ptr error) noexcept {
        reset(); // a variable's destructor may throw after co_return
        ::new (static_cast<void*>(&error_)) std::exception_ptr{std::move(error)};
        end_ = task_end::error;
    }

    /// After the end, once: the value, or throws what the task has thrown.
    T take_value() {
        if (end_ != task_end::value) [[unlikely]]
            std::rethrow_exception(std::move(error_));
        if constexpr (std::is_reference_v<T>)
            return static_cast<T>(*value_);
        else if constexpr (!std::is_void_v<T>)
            return std::move(value_);
    }
    outcome<T> take_outcome() {
        if (end_ != task_end::value) return outcome<T>{std::move(error_)};
        if constexpr (std::is_void_v<T>)
            return {};
        else
            return outcome<T>{take_value()};
    }
    /// Null: it has thrown nothing.
    std::exception_ptr error() const noexcept {
        return end_ == task_end::error ? error_ : std::exception_ptr{};
    }

  private:
    void reset() noexcept {
        if (end_ == task_end::error) [[unlikely]]
            error_.~exception_ptr();
        if constexpr (!std::is_trivially_destructible_v<stored>)
            if (end_ == task_end::value) value_.~stored();
    }
    union {
        stored value_;
        std::exception_ptr error_;
    };
};

} // namespace detail

} // namespace plait
