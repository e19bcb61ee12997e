// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/spin_lock.hpp>
