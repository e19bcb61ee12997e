// SPDX-License-Identifier: Apache-2.0
#include "strand/stack_probe.hpp"

#include "base/registry.hpp"
#include "sys/futex.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <memory>
#include <plait/detail/context.hpp>

namespace plait::detail {
namespace {

// What the handler fills in. `phase` says whose it is:
//   idle -> asked      the prober, before the signal
//   asked -> filling   the handler
//   filling -> filled  the handler
//   any -> idle        the prober, which has read it; asked -> idle if its patience is over
enum class phase : std::uint32_t { idle, asked, filling, filled };

struct probe {
    atomic<phase> state{phase::idle};
    std::array<void*, 48> frames{};
    int count = 0;
    bool in_task = false;
    std::array<char, 64> name{}; // a copy: the task may end, and take its name along
    const char* name_at = nullptr;
    std::source_location created;
    std::source_location at;
};

constinit probe answer;
int probe_signal = 0;

// The running task's node, if that is what the pointer still leads to.
const task_node* node_of(const context* scope) noexcept {
    if (!scope || !scope->node) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(scope->node);
    for (std::size_t i = 0; i < max_registry_chunks; ++i) {
        const task_node* chunk = registry_chunk(i);
        if (!chunk) break;
        const auto begin = reinterpret_cast<std::uintptr_t>(chunk);
        if (address >= begin && address < begin + registry_chunk_nodes() * sizeof(task_node))
            return scope->node;
    }
    return nullptr;
}

extern "C" void on_probe(int) {
    const int saved = errno;
    phase expected = phase::asked;
    // acquire: pairs with the prober's store; a late signal finds idle, and does nothing.
    if (answer.state.compare_exchange(expected, phase::filling, order::acq_rel, order::relaxed)) {
        answer.count = ::backtrace(answer.frames.data(), static_cast<int>(answer.frames.size()));
        const task_node* node = node_of(current().scope);
        answer.in_task = node != nullptr;
        if (node) {
            answer.name_at = node->name.load(order::relaxed);
            answer.name.front() = '\0';
            if (answer.name_at) *::stpncpy(answer.name.data(), answer.name_at, answer.name.size() - 1) = '\0';
            answer.created = node->created;
            answer.at = node->at;
        }
        answer.state.store(phase::filled, order::release);
        futex_wake_all(reinterpret_cast<const std::uint32_t*>(answer.state.address()));
    }
    errno = saved;
}

std::string frame_text(void* frame) {
    Dl_info info{};
    const auto address = reinterpret_cast<std::uintptr_t>(frame);
    char number[32];
    if (::dladdr(frame, &info) == 0) {
        std::snprintf(number, sizeof number, "0x%zx", address);
        return number;
    }
    std::string text;
    if (info.dli_sname) {
        const std::unique_ptr<char, void (*)(void*)> plain{
            abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr), &std::free};
        text = std::string{plain ? plain.get() : info.dli_sname} + " in ";
    }
    // What addr2line and eu-addr2line take: the module, and the place in it.
    std::snprintf(number, sizeof number, "+0x%zx",
                  address - reinterpret_cast<std::uintptr_t>(info.dli_fbase));
    return text + (info.dli_fname ? info.dli_fname : "?") + number;
}

} // namespace

void prepare_stack_probe() noexcept {
    if (probe_signal != 0) return;
    std::array<void*, 1> unused;
    ::backtrace(unused.data(), 1);
    struct sigaction action{};
    action.sa_handler = &on_probe;
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    for (int s = SIGRTMAX - 1; s > SIGRTMIN; --s) {
        struct sigaction before{};
        if (::sigaction(s, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
        // It stays for good: a thread may answer late, and the default would end the program.
        if (::sigaction(s, &action, nullptr) == 0) probe_signal = s;
        return;
    }
}

thread_stack probe_stack(::pthread_t thread, nanoseconds patience) {
    thread_stack result;
    if (probe_signal == 0) return result;
    answer.state.store(phase::asked, order::release);
    if (::pthread_kill(thread, probe_signal) != 0) {
        answer.state.store(phase::idle, order::relaxed);
        return result;
    }
    const time_point end = std::chrono::steady_clock::now() + patience;
    for (phase now = phase::asked; (now = answer.state.load(order::acquire)) != phase::filled;) {
        const auto word = reinterpret_cast<const std::uint32_t*>(answer.state.address());
        const bool late = futex_wait(word, static_cast<std::uint32_t>(now), end.time_since_epoch().count()) ==
                          futex_result::timed_out;
        phase asked = phase::asked;
        // In the middle of filling it is worth waiting for.
        if (late && answer.state.compare_exchange(asked, phase::idle, order::acq_rel, order::relaxed))
            return result;
        if (late) system_policy::pause(64);
    }
    result.in_task = answer.in_task;
    if (answer.in_task) result.task = {answer.name.data(), answer.name_at, answer.created, answer.at};
    for (int i = 2; i < answer.count; ++i) // without the handler and the signal's own frame
        result.text += "    at " + frame_text(answer.frames[static_cast<std::size_t>(i)]) + "\n";
    answer.state.store(phase::idle, order::release);
    return result;
}

} // namespace plait::detail
