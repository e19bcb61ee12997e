// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sys/build_id.hpp"

#include <cstddef>
#include <cstdint>

namespace plait::detail {

/// What a dying worker leaves in its lane; see crash_handler.hpp. Written by the worker alone, read when it
/// is dead, and then every count and length is checked: a task may have written here as well.
struct crash_record {
    static constexpr std::size_t most_frames = 64;
    static constexpr std::size_t most_modules = 16;
    static constexpr std::size_t longest_path = 200;
    static constexpr std::size_t longest_type = 256; // mangled
    static constexpr std::size_t longest_message = 512;
    static constexpr std::uint32_t no_module = ~std::uint32_t{0};

    struct frame {
        std::uint64_t offset = 0; ///< of the return address in its module; of the address itself without one
        std::uint32_t module = no_module;
    };
    struct module {
        std::uint64_t base = 0;
        std::uint32_t build_id_size = 0;
        std::byte build_id[longest_build_id]{};
        char path[longest_path]{}; ///< empty: the main program
    };

    std::int32_t signal = 0; ///< 0: no crash was seen
    std::int32_t code = 0;   ///< si_code
    std::uint64_t address = 0;
    /// Each grows when what it counts is complete: a fault in the middle of the report leaves the rest of it.
    std::uint32_t frame_count = 0;
    std::uint32_t module_count = 0;
    std::uint32_t thrown = 0; ///< 1: std::terminate was called, for an exception if there is a type
    char thrown_type[longest_type]{};
    char thrown_message[longest_message]{};
    frame frames[most_frames]{};
    module modules[most_modules]{};
};

} // namespace plait::detail
