// SPDX-License-Identifier: Apache-2.0
#pragma once

// Included before everything else where a source starts threads or holds std::mutex: they are the model's then. In a build
// for models alone, and the one way that leaves the source as it is shipped.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <plait/testing_explore.hpp>
#include <thread>

namespace std { // NOLINT(cert-dcl58-cpp)
using model_thread = plait::testing::thread;
using model_mutex = plait::testing::mutex;
} // namespace std
#define thread model_thread
#define mutex model_mutex
