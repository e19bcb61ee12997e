// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <plait/detail/bytes.hpp>

namespace plait::detail {

/// Writes an exception with its nested causes. Never throws for what the exception is; only for a full
/// memory.
[[gnu::visibility("default")]] void write_exception(byte_writer& out, const std::exception_ptr& error);

/// Where an exception came from: goes into remote_error.
struct exception_origin {
    int pid = 0;
    std::uint32_t worker = 0;
    std::uint64_t task = 0;
    const char* function = "";
};

/// Rebuilds it: standard and registered types as themselves, all others as remote_error.
[[gnu::visibility("default")]] std::exception_ptr read_exception(byte_reader& in,
                                                                 const exception_origin& origin);

/// How a registered type travels. One static object per type and program.
struct exception_codec {
    /// Writes it if `error` holds exactly this type.
    bool (*write)(byte_writer& out, const std::exception_ptr& error);
    /// With `cause` nested in it, unless that is null.
    std::exception_ptr (*read)(byte_reader& in, const std::exception_ptr& cause);
};
[[gnu::visibility("default")]] void add_exception_codec(const exception_codec& codec);

/// For a new worker: which types are registered here, and the same there.
void write_registrations(byte_writer& out);
void read_registrations(byte_reader& in);

} // namespace plait::detail
