// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 1 contains a view (string_view or span): what it looks at stays in this process; let it own a std::string or a std::vector
// clang-format on
#include <plait/process_pool.hpp>

int take(const std::vector<std::span<int>>&);

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(take, std::vector<std::span<int>>{});
#endif
}
