// SPDX-License-Identifier: Apache-2.0
#pragma once

// std::plus, std::less and their kin, and std::identity: <functional> brings std::function and hash tables along.
#if __has_include(<bits/stl_function.h>) && __has_include(<bits/ranges_cmp.h>)
#include <bits/ranges_cmp.h>
#include <bits/stl_function.h>
#else
#include <functional>
#endif
