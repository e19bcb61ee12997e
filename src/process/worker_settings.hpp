// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/bytes.hpp>
#include <plait/process_pool.hpp>

namespace plait::detail {

/// How its workers are arranged; see process_pool_options.
struct worker_settings {
    std::uint64_t memory_limit = 0; // 0: none
    int nice = 0;
    worker_isolation isolate;
    std::vector<environment_variable> environment;
};

/// Checks what can be checked here. Throws invalid_argument that names the option, or system_error where this
/// machine lacks what it takes.
void check_worker_settings(const worker_settings& settings);

/// For a worker's setup task.
void write_settings(byte_writer& out, const worker_settings& settings);
worker_settings read_settings(byte_reader& in);

/// In a worker: before its initialiser, and after it. Both throw system_error.
void apply_before_initializer(const worker_settings& settings);
void apply_after_initializer(const worker_settings& settings);

} // namespace plait::detail
