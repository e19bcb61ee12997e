// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/parking_place.hpp>

#include "base/look.hpp"
#include "sys/futex.hpp"

#include <plait/blocking_region.hpp>
#include <stdexcept>
#include <string>

namespace plait::detail {

bool parking_place::sleep_until(time_point deadline, bool looked) noexcept {
    if (is_woken() || (!looked && look_until([this] { return is_woken(); }, deadline))) return true;
    const std::int64_t at = deadline.time_since_epoch().count();
    const blocking_region elsewhere;
    std::uint32_t before = quiet;
    // Wake-up: either wake() finds that it has to go through the kernel, or it came first and this finds its word.
    static_cast<void>(word_.compare_exchange(before, asleep, order::relaxed, order::relaxed));
    while (!is_woken())
        if (futex_wait(word_.address(), asleep, at) == futex_result::timed_out && !is_woken()) return false;
    return true;
}

void parking_place::wake() noexcept {
    const std::uint32_t* const address = word_.address();
    // release: pairs with is_woken().
    if (word_.exchange(woken, order::release) == asleep) futex_wake(address, 1);
}

void throw_if_on_a_loop(const char* what, const char* instead) {
    // A `serial` is the thread that called it, so it may block.
    const worker* const here = current().worker;
    if (here->single_threaded() && here->driven())
        throw std::logic_error{
            std::string{what} +
            ": called on a loop, it would hold up all of the loop's tasks; write `co_await " + instead +
            "` instead"};
}

} // namespace plait::detail
