// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

namespace plait::detail {

/// Memory orders, as in <atomic>.
enum class order : int {
    relaxed = __ATOMIC_RELAXED,
    acquire = __ATOMIC_ACQUIRE,
    release = __ATOMIC_RELEASE,
    acq_rel = __ATOMIC_ACQ_REL,
    seq_cst = __ATOMIC_SEQ_CST,
};

/// std::atomic's members over the compiler's builtins.
///
/// Public headers cannot include <atomic>: it alone costs twice what <vector> does, and every user would pay.
/// Lock-free cores take this as a template parameter (`Policy::template atomic<T>`), so that tests can run
/// the shipped source under a schedule explorer.
template <class T>
    requires(std::is_trivially_copyable_v<T> && sizeof(T) <= 8)
class atomic {
  public:
    constexpr atomic() noexcept : value_{} {}
    constexpr atomic(T value) noexcept : value_{value} {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(order o = order::seq_cst) const noexcept {
        T result;
        __atomic_load(&value_, &result, static_cast<int>(o));
        return result;
    }
    void store(T value, order o = order::seq_cst) noexcept {
        __atomic_store(&value_, &value, static_cast<int>(o));
    }
    T exchange(T value, order o = order::seq_cst) noexcept {
        T result;
        __atomic_exchange(&value_, &value, &result, static_cast<int>(o));
        return result;
    }
    /// On failure `expected` holds what was found, loaded with `failure`.
    bool compare_exchange(T& expected, T desired, order success = order::seq_cst,
                          order failure = order::seq_cst) noexcept {
        return __atomic_compare_exchange(&value_, &expected, &desired, false, static_cast<int>(success),
                                         static_cast<int>(failure));
    }
    T fetch_add(T value, order o = order::seq_cst) noexcept
        requires std::is_integral_v<T>
    {
        return __atomic_fetch_add(&value_, value, static_cast<int>(o));
    }
    T fetch_sub(T value, order o = order::seq_cst) noexcept
        requires std::is_integral_v<T>
    {
        return __atomic_fetch_sub(&value_, value, static_cast<int>(o));
    }
    T fetch_or(T value, order o = order::seq_cst) noexcept
        requires std::is_integral_v<T>
    {
        return __atomic_fetch_or(&value_, value, static_cast<int>(o));
    }
    T fetch_and(T value, order o = order::seq_cst) noexcept
        requires std::is_integral_v<T>
    {
        return __atomic_fetch_and(&value_, value, static_cast<int>(o));
    }

    /// For futex calls: the address of the word itself.
    const T* address() const noexcept { return &value_; }

  private:
    alignas(sizeof(T)) T value_; // NOLINT(bugprone-sizeof-expression): a pointer is a word too
};

/// A hint to the processor that this thread polls a word that another one is about to change.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
}

/// What lock-free cores are built on by default. A test substitutes model types with the same members.
struct system_policy {
    template <class T>
    using atomic = detail::atomic<T>;
    static void pause(unsigned round) noexcept; // spin a little, then give the processor away
    /// A fence for two, of which one pays: with heavy_barrier() in one thread and light_barrier() in another it is
    /// as if both had a seq_cst fence there. The light one costs nothing, the heavy one is a system call that
    /// interrupts this program's other threads (WG21 P1202: asymmetric_thread_fence_heavy). See have_heavy_barrier().
    static void light_barrier() noexcept { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
    static void heavy_barrier() noexcept;
};

} // namespace plait::detail
