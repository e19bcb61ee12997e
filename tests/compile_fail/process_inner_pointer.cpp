// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: argument 1 contains a raw pointer: it would dangle in another process; send the value itself (std::string, std::vector, std::optional) or a shared_array<T>
// clang-format on
#include <plait/process_pool.hpp>

struct record {
    int size;
    const char* text;
};
int take(record);

void submit(plait::process_pool& pool) {
#ifdef REFUSED
    (void)pool.submit(take, record{1, ""});
#endif
}
