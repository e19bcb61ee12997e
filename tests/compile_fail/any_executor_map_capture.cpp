// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this lambda captures; pass the values as arguments of submit, or write a function object that can be serialised
// clang-format on
#include <plait/any_executor.hpp>

#include <vector>

void use(plait::any_executor& ex) {
#ifdef REFUSED
    for (const int n : ex.map([number = 1](int i) { return number + i; }, std::vector{1, 2})) (void)n;
#endif
}
