// SPDX-License-Identifier: Apache-2.0
// The spin lock under everything else: it excludes, and hands over what was done.
#include "support.hpp"

#include <plait/detail/spin_lock.hpp>

using plait::testing::check;
using plait::testing::thread;

namespace {

TEST(Model, SpinLock_Excludes) {
    explored("spin lock: three threads", [] {
        plait::detail::spin_guard::word lock{0};
        plait::testing::plain<int> n{0};
        const auto add = [&] {
            const plait::detail::spin_guard guard{lock};
            n = n + 1;
        };
        thread one{"one", add};
        thread two{"two", add};
        add();
        one.join();
        two.join();
        check(n == 3);
    });
}

} // namespace
