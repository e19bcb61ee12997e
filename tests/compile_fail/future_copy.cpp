// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error by gcc: use of deleted function 'constexpr plait::future<int>::future(const plait::future<int>&)'
// error by clang: call to implicitly-deleted copy constructor of 'plait::future<int>'
// clang-format on
#include <plait/future.hpp>

int read(plait::future<int> f) { return f.get(); }

int twice(plait::future<int> f) {
#ifdef REFUSED
    return read(f) + read(std::move(f));
#else
    return read(std::move(f));
#endif
}
