// SPDX-License-Identifier: Apache-2.0
// compiler: gcc
// clang-format off
// error: plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a co_await expression. Name the future first: auto f = pool.submit([data]{...}); co_await f;
// clang-format on
#include <plait/task.hpp>
#include <plait/thread_pool.hpp>

#include <string>

plait::task<std::size_t> size_of(plait::thread_pool& pool, std::string text) {
    auto named = [text] { return text.size(); };
    std::size_t sum = co_await pool.submit(named);                // a copy of what stays
    sum += co_await pool.submit([&text] { return text.size(); }); // references are fine
    sum += co_await pool.submit([](const std::string& s) { return s.size(); }, text);
#ifdef REFUSED
    co_return sum + co_await pool.submit([text] { return text.size(); });
#else
    auto f = pool.submit([text] { return text.size(); });
    co_return sum + co_await f;
#endif
}
