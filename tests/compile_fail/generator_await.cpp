// SPDX-License-Identifier: Apache-2.0
// error: plait: a generator runs inside of a loop, where nobody can wait for it; make it an async_generator to co_await
#include <plait/generator.hpp>

plait::task<int> one() { co_return 1; }

plait::generator<int> some() {
#ifdef REFUSED
    co_await one();
#endif
    co_yield 1;
}
plait::async_generator<int> others() {
    const int x = co_await one();
    co_yield x;
}
