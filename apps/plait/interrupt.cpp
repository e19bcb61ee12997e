// SPDX-License-Identifier: Apache-2.0
#include "interrupt.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace plait::app {
namespace {

constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
std::atomic<fetch::stopper*> target{nullptr};
std::array<struct sigaction, signals.size()> before{};

/// How long the clean-up after the second signal may take, in seconds.
constexpr unsigned patience = 1;

extern "C" void plait_on_alarm(int /*signal*/) { ::_exit(130); }

extern "C" void plait_on_signal(int /*signal*/) {
    fetch::stopper* const what = target.load();
    if (what == nullptr || what->stopped_now()) ::_exit(130);
    if (!what->stopped()) {
        what->stop();
        return;
    }
    what->stop_now();
    (void)::signal(SIGALRM, &plait_on_alarm);
    (void)::alarm(patience);
}

} // namespace

interrupt_guard::interrupt_guard(fetch::stopper& what) {
    target = &what;
    struct sigaction action{};
    action.sa_handler = &plait_on_signal;
    ::sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < signals.size(); ++i) {
        (void)::sigaction(signals[i], nullptr, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            (void)::sigaction(signals[i], &action, nullptr); // nohup stays in force
    }
}

interrupt_guard::~interrupt_guard() {
    for (std::size_t i = 0; i < signals.size(); ++i) (void)::sigaction(signals[i], &before[i], nullptr);
    target = nullptr;
}

} // namespace plait::app
