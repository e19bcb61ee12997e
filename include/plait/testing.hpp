// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tests of concurrent code: components `testing` (the first) and `testing_run` (the others).
#include <plait/testing_explore.hpp> // every schedule of a small test
#include <plait/testing_faults.hpp>  // every call that can fail, failed
#include <plait/testing_run.hpp>     // whole programs on a virtual clock, by a seed
