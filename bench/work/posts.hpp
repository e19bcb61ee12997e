// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rivals/mutex_pool.hpp"

#include <plait/thread_pool.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

/// `n` empty tasks posted from outside, then a wait for them. plait's way and Asio's to wait for all that was posted is to
/// end the pool. std::async and Python's executors have no task without a future.
namespace work {

inline void post_all(plait::thread_pool& pool, int n) {
    for (int i = 0; i < n; ++i) pool.post([] {});
    pool.shutdown();
}

inline void post_all(rivals::mutex_pool& pool, int n) {
    for (int i = 0; i < n; ++i) pool.post([] {});
    pool.wait_idle();
}

inline void post_all(boost::asio::thread_pool& pool, int n) {
    for (int i = 0; i < n; ++i) boost::asio::post(pool, [] {});
    pool.join();
}

inline void post_all(tbb::task_arena& arena, int n) {
    arena.execute([n] {
        tbb::task_group group;
        for (int i = 0; i < n; ++i) group.run([] {});
        group.wait();
    });
}

} // namespace work
