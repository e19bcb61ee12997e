// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <plait/detail/bytes.hpp>

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

} // namespace plait::detail
