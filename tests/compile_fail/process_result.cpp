// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: the result of the task is a view (string_view or span): what it looks at stays in this process; send a std::string or a std::vector
// clang-format on
#include <plait/process_pool.hpp>

std::string_view give();

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(give);
#endif
}
