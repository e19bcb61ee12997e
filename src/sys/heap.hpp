// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::detail {

/// From here on freed blocks of up to 256 MiB stay with this process, for the next ones: to have such a block from the kernel
/// costs its clearing, page by page, which takes longer than to copy something into it. Only the C library's own heap.
void keep_large_blocks() noexcept;
/// Gives back what of that is not used, if it is much.
void return_unused_blocks() noexcept;

} // namespace plait::detail
