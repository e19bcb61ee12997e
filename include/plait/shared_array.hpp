// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <plait/detail/shared_memory.hpp>
#include <plait/serialize.hpp>
#include <span>
#include <type_traits>

namespace plait {

struct shared_array_options {
    /// Ask for huge pages: a first touch costs a half or a third, where the kernel permits them for shared
    /// memory (/sys/kernel/mm/transparent_hugepage/shmem_enabled). Elsewhere it changes nothing.
    bool huge_pages = false;
};

/// An array in memory that processes share: sent by descriptor, never copied.
///
///     plait::shared_array<double> heat{1'000'000};         // zeroed
///     auto done = pool.submit(warm_up, heat, 0, 500'000);  // void(plait::shared_array<double>, int, int)
///     done.get();                                               // what the worker wrote is here
///
/// All its memory is there once it is made, so that no later touch can fail; it can neither grow nor shrink.
/// Copies are handles of the same array, within a process and across them, also inside of structs,
/// containers, pipes and results. The array lives while anyone holds it, also after its maker has died, and
/// then is gone: it has no name in any file system.
///
/// `shared_array<const T>` is a view: the same memory, mapped read-only, so that writing to it by any pointer
/// ends the process that tries. Made from a `shared_array<T>`, and sent in its place.
///
/// T:             trivially copyable and `sendable`: no pointers, no references.
/// Threads:       as an array: who writes what others use synchronises, by the end of a task, a pipe or
///                std::atomic_ref, which works between processes too. A handle from one thread at a time.
/// Order:         what a task wrote before it ended is visible to who has got its result.
/// Errors:        n * sizeof(T) too large: length_error. Not enough memory (the machine's, the container's
///                `memory.max`, RLIMIT_AS or RLIMIT_FSIZE): bad_alloc or system_error, from the constructor;
///                never SIGBUS later.
/// Cost:          making it touches every page once; sending it a message with a descriptor and, unless the
///                receiver has it already, a mapping: some 50 microseconds, whatever its size.
template <class T>
class shared_array {
    using element = std::remove_const_t<T>;
    static_assert(
        detail::send_problem_of<element>() != detail::send_problem::pointer &&
            detail::send_problem_of<element>() != detail::send_problem::inner_pointer,
        "plait: a shared_array's elements must hold no pointers: they would dangle in another process; "
        "use indices");
    static_assert(
        std::is_trivially_copyable_v<element>,
        "plait: a shared_array's elements must be trivially copyable: their bytes are all that another "
        "process sees");
    static_assert(!std::is_pointer_v<element> && sendable<element>,
                  "plait: a shared_array's elements must be sendable: numbers, enums, and structs of such");

  public:
    using value_type = element;
    using size_type = std::size_t;
    using reference = T&;
    using iterator = T*;
    using const_iterator = const T*;

    /// Empty, as with n = 0.
    shared_array() noexcept = default;
    /// `n` elements, all bytes zero.
    explicit shared_array(std::size_t n, shared_array_options options = {})
        requires(!std::is_const_v<T>)
        : memory_{detail::shared_memory::make(n, sizeof(T), options.huge_pages)} {}
    /// The read-only view of an array.
    template <class U>
        requires(std::is_const_v<T> && std::is_same_v<U, element>)
    shared_array(const shared_array<U>& whole) : memory_{whole.memory_.read_only()} {}

    T* data() const noexcept { return static_cast<T*>(memory_.data()); }
    std::size_t size() const noexcept { return memory_.size() / sizeof(T); }
    std::size_t size_bytes() const noexcept { return memory_.size(); }
    bool empty() const noexcept { return memory_.size() == 0; }

    T& operator[](std::size_t i) const noexcept { return data()[i]; }
    /// Throws out_of_range.
    T& at(std::size_t i) const {
        if (i >= size()) detail::shared_memory::throw_out_of_range(i, size());
        return data()[i];
    }
    T& front() const noexcept { return data()[0]; }
    T& back() const noexcept { return data()[size() - 1]; }
    T* begin() const noexcept { return data(); }
    T* end() const noexcept { return data() + size(); }
    operator std::span<T>() const noexcept { return {data(), size()}; }

    /// Do both stand for the same memory?
    template <class U>
    bool same_as(const shared_array<U>& other) const noexcept {
        return memory_.id() == other.memory_.id();
    }
    /// How many handles of it this process holds: views and copies that are underway included.
    std::size_t use_count() const noexcept { return memory_.use_count(); }

  private:
    template <class U>
    friend class shared_array;
    friend struct detail::handle_access;
    explicit shared_array(detail::shared_memory memory) noexcept : memory_{std::move(memory)} {}
    void save_handle(detail::byte_writer& out) const { memory_.save(out, sizeof(T)); }
    static shared_array load_handle(detail::byte_reader& in) {
        return shared_array{detail::shared_memory::load(in, sizeof(T), std::is_const_v<T>)};
    }

    detail::shared_memory memory_;
};

template <class T>
inline constexpr bool detail::is_handle<shared_array<T>> = true;

} // namespace plait
