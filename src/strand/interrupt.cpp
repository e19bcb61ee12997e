// SPDX-License-Identifier: Apache-2.0
#include "strand/interrupt.hpp"

#include <atomic>
#include <cerrno>
#include <unistd.h>

namespace plait::detail {
namespace {

std::atomic<loop_engine*> listening{nullptr};
std::atomic<int> arrived{0};

static_assert(std::atomic<loop_engine*>::is_always_lock_free, "used in a signal handler");

extern "C" void on_interrupt(int signal) {
    const int saved = errno;
    if (arrived.fetch_add(1) == 0) {
        if (loop_engine* loop = listening.load()) loop->wake();
    } else {
        // The second one: as if we had never been here.
        ::signal(signal, SIG_DFL);
        ::raise(signal);
    }
    errno = saved;
}

} // namespace

interrupt_guard::interrupt_guard(bool wanted, loop_engine& loop) noexcept {
    if (!wanted || ::getpid() != ::gettid()) return; // not the main thread
    if (::sigaction(SIGINT, nullptr, &before_) != 0) return;
    if ((before_.sa_flags & SA_SIGINFO) || before_.sa_handler != SIG_DFL)
        return; // the program's own, or ignored
    loop_engine* expected = nullptr;
    if (!listening.compare_exchange_strong(expected, &loop)) return;
    arrived.store(0);
    struct sigaction action{};
    action.sa_handler = &on_interrupt;
    action.sa_flags =
        SA_RESTART | SA_NODEFER; // the second one must get through while the first is in the handler
    ::sigemptyset(&action.sa_mask);
    installed_ = ::sigaction(SIGINT, &action, nullptr) == 0;
    if (!installed_) listening.store(nullptr);
}

interrupt_guard::~interrupt_guard() {
    if (!installed_) return;
    ::sigaction(SIGINT, &before_, nullptr);
    listening.store(nullptr);
}

bool interrupt_guard::take() const noexcept {
    if (!installed_) return false;
    int expected = 1;
    return arrived.compare_exchange_strong(expected, 2);
}

} // namespace plait::detail
