// SPDX-License-Identifier: Apache-2.0
#pragma once

// The range concepts alone: <ranges> brings every view along, at three times the cost of <vector>.
#if __has_include(<bits/ranges_base.h>)
#include <bits/stl_iterator.h>
#include <initializer_list> // ranges_base.h needs both, and includes neither

#include <bits/ranges_base.h>
#else
#include <ranges>
#endif
