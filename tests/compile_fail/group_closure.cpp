// SPDX-License-Identifier: Apache-2.0
// compiler: gcc
// clang-format off
// error: plait: this compiler (GCC 12) destroys the lambda's captures twice when it is written inside a co_await expression. Name the task first: plait::task<> all = plait::with_group([data](auto& group) {...}); co_await std::move(all);
// clang-format on
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/task_group.hpp>

#include <string>

plait::task<> use(std::string text) {
    const auto body = [text](plait::task_group& group) { group.spawn([text] { return text.size(); }); };
    co_await plait::with_group(body); // a copy of what stays
    co_await plait::with_group(
        [&text](plait::task_group& group) { group.spawn([text] { return text.size(); }); });
#ifdef REFUSED
    co_await plait::with_group([text](plait::task_group&) { return; });
#else
    plait::task<> all = plait::with_group([text](plait::task_group&) { return; });
    co_await std::move(all);
#endif
}

std::size_t elsewhere(plait::event_loop& loop, std::string text) {
    auto f =
        loop.submit([text] { return plait::with_group([text](plait::task_group&) { return text.size(); }); });
    return f.get() + loop.run(plait::with_group(
                         [text](plait::task_group&) -> plait::task<std::size_t> { co_return text.size(); }));
}
