// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: a shared_array's elements must be trivially copyable: their bytes are all that another process sees
// clang-format on
#include <plait/shared_array.hpp>

#include <string>

void make() {
#ifdef REFUSED
    plait::shared_array<std::string> names{10};
#endif
}
