// SPDX-License-Identifier: Apache-2.0
#include <plait/this_task.hpp>

namespace plait::this_task {

plait::stop_token stop_token() noexcept { return plait::stop_token{detail::task_scope()}; }

void checkpoint() {
    detail::context* const scope = detail::task_scope();
    if (scope && scope->stop_due()) scope->check();
}

std::chrono::steady_clock::time_point deadline() noexcept {
    const detail::context* scope = detail::task_scope();
    return scope ? scope->deadline : detail::time_point::max();
}

const char* name() noexcept {
    const detail::context* scope = detail::task_scope();
    return scope ? scope->node->name.load(detail::order::relaxed) : nullptr;
}

int attempt() noexcept {
    const detail::context* scope = detail::task_scope();
    return scope ? scope->attempt : 1;
}

} // namespace plait::this_task
