// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstring>
#include <span>

namespace plait::detail {

/// Longer ones are cut: GNU's have 20 bytes.
inline constexpr std::size_t longest_build_id = 32;

/// The build-id among the notes of a module, empty if there is none. Looks at these bytes only, and is safe
/// in a signal handler.
inline std::span<const std::byte> build_id_in(std::span<const std::byte> notes) noexcept {
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        std::memcpy(&note, notes.data(), sizeof(note));
        const std::size_t name = (note.n_namesz + std::size_t{3}) & ~std::size_t{3};
        const std::size_t content = (note.n_descsz + std::size_t{3}) & ~std::size_t{3};
        const std::size_t whole = sizeof(note) + name + content;
        if (whole > notes.size()) break;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
            std::memcmp(notes.data() + sizeof(note), "GNU", sizeof("GNU")) == 0) {
            const std::span<const std::byte> id = notes.subspan(sizeof(note) + name, note.n_descsz);
            return id.first(id.size() < longest_build_id ? id.size() : longest_build_id);
        }
        notes = notes.subspan(whole);
    }
    return {};
}

} // namespace plait::detail
