// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/parking_place.hpp>

#include "sys/futex.hpp"

#include <plait/blocking_region.hpp>
#include <stdexcept>
#include <string>

namespace plait::detail {

bool parking_place::sleep_until(time_point deadline) noexcept {
    // acquire: pairs with the release in wake(), so that what the waker did is visible.
    if (word_.load(order::acquire) != 0) return true;
    const blocking_region elsewhere;
    while (word_.load(order::acquire) == 0)
        if (futex_wait(word_.address(), 0, deadline.time_since_epoch().count()) == futex_result::timed_out &&
            word_.load(order::acquire) == 0)
            return false;
    return true;
}

void parking_place::wake() noexcept {
    const std::uint32_t* const address = word_.address();
    word_.store(1, order::release);
    futex_wake(address, 1);
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
