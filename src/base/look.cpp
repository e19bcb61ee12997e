// SPDX-License-Identifier: Apache-2.0
#include "base/look.hpp"

#include <plait/detail/worker.hpp>
#include <plait/processors.hpp>

namespace plait::detail {

short_spin* looks_of_this_thread() noexcept {
    static const bool several = available_processors() > 1;
    if (!several || current().worker) return nullptr;
    static constinit thread_local short_spin looks;
    return &looks;
}

} // namespace plait::detail
