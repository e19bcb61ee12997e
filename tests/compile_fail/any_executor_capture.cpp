// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this lambda captures; pass the values as arguments of submit, or write a function object that can be serialised
// clang-format on
#include <plait/any_executor.hpp>

#include <vector>

void use(plait::any_executor& ex) {
#ifdef REFUSED
    (void)ex.submit([number = 1] { return number; });
#endif
}
