// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rivals/mutex_pool.hpp"

#include <plait/thread_pool.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <tbb/task_arena.h>

#include <future>
#include <memory>
#include <utility>
#include <vector>

/// Tasks that return 7, each with a future.
namespace work {

constexpr auto seven = [] { return 7; };

inline auto submit(plait::thread_pool& pool) { return pool.submit(seven); }
inline auto submit(rivals::mutex_pool& pool) { return pool.submit(seven); }

/// Of those that only have a way to post.
template <class Post>
std::future<int> submit_by(Post post) {
    auto task = std::make_shared<std::packaged_task<int()>>(seven);
    std::future<int> f = task->get_future();
    post([task] { (*task)(); });
    return f;
}
inline std::future<int> submit(boost::asio::thread_pool& pool) {
    return submit_by([&pool](auto&& f) { boost::asio::post(pool, std::forward<decltype(f)>(f)); });
}
inline std::future<int> submit(tbb::task_arena& arena) {
    return submit_by([&arena](auto&& f) { arena.enqueue(std::forward<decltype(f)>(f)); });
}

/// All of them submitted, then all read.
template <class Pool>
void submit_all(Pool& pool, int n) {
    std::vector<decltype(submit(pool))> all;
    all.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) all.push_back(submit(pool));
    for (auto& f : all) f.get();
}

/// A thread each, hence one after the other.
inline void async_all(int n) {
    for (int i = 0; i < n; ++i) std::async(std::launch::async, seven).get();
}

} // namespace work
