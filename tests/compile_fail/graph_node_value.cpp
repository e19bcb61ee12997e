// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: a node returns nothing or plait::task<>; hand values on by reference captures, and write condition(...) for a node that chooses its successor
// clang-format on
#include <plait/graph.hpp>

void use(plait::graph& g, int& value) {
    g.add([&value] { value = 7; });
#ifdef REFUSED
    g.add([] { return 7; });
#endif
}
