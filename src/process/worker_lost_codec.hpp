// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/bytes.hpp>
#include <plait/remote_error.hpp>

namespace plait::detail {

/// A worker_lost on its way through another process: of a pool that a worker had.
void write_details(byte_writer& out, const worker_lost::details& d);
worker_lost::details read_details(byte_reader& in);

} // namespace plait::detail
