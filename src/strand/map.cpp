// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/map.hpp>

#include <plait/errors.hpp>
#include <plait/time.hpp>
#include <stdexcept>

namespace plait::detail {

void throw_map_window() {
    throw std::invalid_argument{
        "map: .window is 0, so nothing could ever be pulled; give at least 1, or leave it out"};
}
void throw_map_without_task() {
    throw std::logic_error{
        "map: over an async_generator it is awaited by a task of plait's; here there is none"};
}
void throw_map_on_own_loop() {
    throw std::logic_error{
        "map: called by a task of the very loop that would have to run it: taking an item would block "
        "that loop for ever; use gather(tasks, {.limit = n}) there"};
}
void throw_map_timeout() {
    throw timeout_error{"map: .timeout has passed; what had not finished is cancelled"};
}

task<std::size_t> next_arrival(arrivals& from, time_point deadline) {
    const auto wait = [](arrivals& a) -> task<std::size_t> { co_return co_await a.next_async(); };
    try {
        co_return co_await timeout(deadline - std::chrono::steady_clock::now(), wait(from));
    } catch (const timeout_error&) {
        co_return arrivals::nothing;
    }
}

} // namespace plait::detail
