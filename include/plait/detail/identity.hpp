// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <plait/detail/bytes.hpp>
#include <type_traits>

namespace plait::detail {

/// A place in the program that means the same in another process of it, wherever that one was loaded: the
/// offset in the main program, or `elsewhere` for one in a shared library, which is then named by its
/// build-id (see write_place).
using code_place = std::uint64_t;
inline constexpr code_place elsewhere = ~code_place{0};

/// The place of a function or static object. Throws logic_error if no loaded module contains it.
[[gnu::visibility("default")]] code_place place_of(const void* address);
/// The address in this process of a place in the main program.
[[gnu::visibility("default")]] void* address_of(code_place p) noexcept;

/// Any place, self-contained: libraries with their build-id and path.
[[gnu::visibility("default")]] void write_place(byte_writer& out, const void* address);
/// The address in this process. Loads the library if need be; throws runtime_error if it is not the one that
/// was meant.
[[gnu::visibility("default")]] void* read_place(byte_reader& in);

// Defined in archive.hpp.
template <class T>
void encode(byte_writer& out, const T& value);
template <class T>
T decode(byte_reader& in);

/// A callable: a function by its place, an object without state by nothing, others by their value.
template <class F>
void encode_callable(byte_writer& out, const F& f) {
    if constexpr (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>) {
        write_place(out, reinterpret_cast<const void*>(f));
    } else if constexpr (std::is_member_function_pointer_v<F>) {
        // The Itanium ABI's two words: an address (or, with the lowest bit set, an offset in the table of
        // virtual functions), and an adjustment. AArch64 has that bit in the second word.
        std::uintptr_t words[2] = {};
        static_assert(sizeof(F) == sizeof(words));
        std::memcpy(words, &f, sizeof(words));
#if defined(__aarch64__)
        const bool is_virtual = (words[1] & 1) != 0;
#else
        const bool is_virtual = (words[0] & 1) != 0;
#endif
        out.put(static_cast<std::uint8_t>(is_virtual));
        out.put(words[1]);
        if (is_virtual)
            out.put(words[0]);
        else
            write_place(out, reinterpret_cast<const void*>(words[0]));
    } else if constexpr (!std::is_empty_v<F>) {
        encode(out, f);
    }
}

template <class F>
F decode_callable(byte_reader& in) {
    if constexpr (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>) {
        return reinterpret_cast<F>(read_place(in));
    } else if constexpr (std::is_member_function_pointer_v<F>) {
        const bool is_virtual = in.take<std::uint8_t>() != 0;
        std::uintptr_t words[2] = {};
        words[1] = in.take<std::uintptr_t>();
        words[0] = is_virtual ? in.take<std::uintptr_t>() : reinterpret_cast<std::uintptr_t>(read_place(in));
        F f;
        std::memcpy(&f, words, sizeof(words));
        return f;
    } else if constexpr (std::is_empty_v<F>) {
        // It has no state, so any bytes are it; C++20 closures without captures are default-constructible,
        // but other empty classes need not be.
        alignas(F) std::byte raw[sizeof(F)] = {};
        return *std::launder(reinterpret_cast<F*>(raw));
    } else {
        return decode<F>(in);
    }
}

/// What a worker calls for a task: reads the arguments, calls the function, writes the result. May throw.
using process_entry = void (*)(byte_reader& in, byte_writer& out);

/// The worker process that this code runs in.
struct worker_identity {
    bool is_worker = false;
    bool drives_loop = false;  // for many tasks at once
    std::uint32_t number = 0;  // 0 .. workers - 1; a replacement inherits it
    std::uint64_t task = 0;    // the task that runs now
    std::uint32_t attempt = 0; // which attempt it is, from 1
    const char* name = nullptr;
    std::int64_t deadline = 0;  // monotonic nanoseconds; 0: none
    bool takes_pending = false; // a task may go on when its code has returned, and leaves its result here
    class pending_result* pending = nullptr;
};
[[gnu::visibility("default")]] worker_identity& this_worker() noexcept;

} // namespace plait::detail
