// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: a shared_array's elements must hold no pointers: they would dangle in another process; use indices
// clang-format on
#include <plait/shared_array.hpp>

struct node {
    int value;
    node* next;
};

void make() {
#ifdef REFUSED
    plait::shared_array<node> nodes{10};
#endif
}
