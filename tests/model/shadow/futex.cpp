// SPDX-License-Identifier: Apache-2.0
// In the place of src/sys/futex_linux.cpp: the model's threads sleep, not the one that explores.
#include "sys/futex.hpp"
#include "sys/direct_call.hpp"

#include <plait/detail/model.hpp>
#include <plait/processors.hpp>

namespace plait::detail {

using testing::model::site;

bool calls_go_by_name() noexcept { return false; }

futex_result futex_wait(const std::uint32_t* word, std::uint32_t expected, std::int64_t deadline,
                        futex_scope) noexcept {
    switch (testing::model::futex_wait(word, expected, deadline != no_deadline, site::current())) {
    case 0:
        return futex_result::woken;
    case 1:
        return futex_result::changed;
    default:
        return futex_result::timed_out;
    }
}

int futex_wake(const std::uint32_t* word, int count, futex_scope) noexcept {
    return testing::model::futex_wake(word, static_cast<unsigned>(count), site::current());
}

std::int64_t monotonic_now() noexcept { return 0; }

} // namespace plait::detail

// Nobody looks before he sleeps, which would only be more of the same.
std::size_t plait::available_processors() noexcept { return 1; }
