// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace plait::detail {

/// A place in a module's machine code, by the module's own symbol table.
struct symbol_place {
    std::string function;     ///< demangled; empty: no symbol covers the place
    std::uint64_t offset = 0; ///< from the function's begin
};

/// Names for places of one module file, each given as its distance from where the module is loaded. Read from
/// `.symtab`, or `.dynsym` where the file is stripped: names and offsets, no lines.
///
/// The file may be anything, also damaged, or change meanwhile: every length is checked, and it is read, not
/// mapped, since a file that is truncated under a mapping costs its reader a SIGBUS. A file with another
/// build-id than the one that is expected (unless that is empty) gives no names. Never throws but bad_alloc.
std::vector<symbol_place> find_symbols(const std::string& file, std::span<const std::byte> build_id,
                                       std::span<const std::uint64_t> places);

/// A name as people write it; what is none stays as it is.
std::string demangled_name(const std::string& name);

} // namespace plait::detail
