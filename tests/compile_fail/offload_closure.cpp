// SPDX-License-Identifier: Apache-2.0
// compiler: gcc
// clang-format off
// error: plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a co_await expression. Name the call first: auto call = plait::offload([data]{...}); co_await call;
// clang-format on
#include <plait/offload.hpp>
#include <plait/task.hpp>

#include <string>

plait::task<std::size_t> size_of(std::string text) {
#ifdef REFUSED
    co_return co_await plait::offload([text] { return text.size(); });
#else
    auto call = plait::offload([text] { return text.size(); });
    co_return co_await call;
#endif
}
