// SPDX-License-Identifier: Apache-2.0
#include "sys/process_id.hpp"

#include <plait/detail/atomic.hpp>

#include <pthread.h>
#include <unistd.h>

namespace plait::detail {
namespace {

constinit atomic<int> remembered{0};

void forget() noexcept { remembered.store(0, order::relaxed); }

} // namespace

int this_process() noexcept {
    const int known = remembered.load(order::relaxed); // it is but a number, and the same for all
    if (known != 0) return known;
    static const bool told_of_forks = ::pthread_atfork(nullptr, nullptr, &forget) == 0;
    const int id = ::getpid();
    if (told_of_forks) remembered.store(id, order::relaxed);
    return id;
}

} // namespace plait::detail
