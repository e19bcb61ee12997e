// SPDX-License-Identifier: Apache-2.0
// compiler: gcc
// clang-format off
// error: plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a co_await expression. Name the future (or task) first, by its type: plait::future<int> f = pool.submit([data]{...}); co_await plait::timeout(5s, std::move(f));
// clang-format on
#include <plait/gather.hpp>
#include <plait/task.hpp>
#include <plait/thread_pool.hpp>

#include <string>

plait::task<> use(plait::thread_pool& pool, std::string text) {
#ifdef REFUSED
    co_await plait::gather(pool.submit([text] { return text.size(); }));
#else
    plait::future<std::size_t> f = pool.submit([text] { return text.size(); });
    co_await plait::gather(std::move(f));
#endif
}
