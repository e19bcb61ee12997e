// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/model.hpp>
#include <type_traits>

// Stands in the place of include/plait/detail/atomic.hpp when plait's sources are compiled for the models: the same
// names, but every operation is a step of the exploration. What is explored is therefore the shipped source.

namespace plait::detail {

using testing::model::site;

enum class order : int {
    relaxed = __ATOMIC_RELAXED,
    acquire = __ATOMIC_ACQUIRE,
    release = __ATOMIC_RELEASE,
    acq_rel = __ATOMIC_ACQ_REL,
    seq_cst = __ATOMIC_SEQ_CST,
};

template <class T>
    requires(std::is_trivially_copyable_v<T> && sizeof(T) <= 8)
class atomic {
  public:
    constexpr atomic() noexcept : atomic{T{}} {}
    constexpr atomic(T value) noexcept : word_{testing::model::to_bits(value), sizeof(T)} {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(order o = order::seq_cst, const site& where = site::current()) const noexcept {
        return testing::model::from_bits<T>(word_.load(static_cast<int>(o), where));
    }
    void store(T value, order o = order::seq_cst, const site& where = site::current()) noexcept {
        word_.store(testing::model::to_bits(value), static_cast<int>(o), where);
    }
    T exchange(T value, order o = order::seq_cst, const site& where = site::current()) noexcept {
        return modify(testing::model::change::exchange, value, o, where);
    }
    bool compare_exchange(T& expected, T desired, order success = order::seq_cst,
                          order failure = order::seq_cst, const site& where = site::current()) noexcept {
        testing::model::bits wanted = testing::model::to_bits(expected);
        const bool done = word_.compare_exchange(wanted, testing::model::to_bits(desired),
                                                 static_cast<int>(success), static_cast<int>(failure), where);
        expected = testing::model::from_bits<T>(wanted);
        return done;
    }
    T fetch_add(T value, order o = order::seq_cst, const site& where = site::current()) noexcept
        requires std::is_integral_v<T>
    {
        return modify(testing::model::change::add, value, o, where);
    }
    T fetch_sub(T value, order o = order::seq_cst, const site& where = site::current()) noexcept
        requires std::is_integral_v<T>
    {
        return modify(testing::model::change::subtract, value, o, where);
    }
    T fetch_or(T value, order o = order::seq_cst, const site& where = site::current()) noexcept
        requires std::is_integral_v<T>
    {
        return modify(testing::model::change::bit_or, value, o, where);
    }
    T fetch_and(T value, order o = order::seq_cst, const site& where = site::current()) noexcept
        requires std::is_integral_v<T>
    {
        return modify(testing::model::change::bit_and, value, o, where);
    }

    const T* address() const noexcept { return static_cast<const T*>(word_.address()); }

  private:
    T modify(testing::model::change what, T value, order o, const site& where) noexcept {
        return testing::model::from_bits<T>(
            word_.modify(what, testing::model::to_bits(value), static_cast<int>(o), where));
    }
    testing::model::word word_;
};

inline void spin_pause() noexcept { testing::model::pause(site::current()); }

struct system_policy {
    template <class T>
    using atomic = detail::atomic<T>;
    static void pause(unsigned round) noexcept; // by spin_pause()
    static void light_barrier() noexcept {}
    static void heavy_barrier() noexcept;
};

} // namespace plait::detail
