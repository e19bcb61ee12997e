// SPDX-License-Identifier: Apache-2.0
#include "process/crash_handler.hpp"

#include <plait/detail/atomic.hpp>

#include <cxxabi.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <exception>
#include <iterator>
#include <typeinfo>

namespace plait::detail {
namespace {

constexpr int deadly_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
constexpr std::size_t crash_stack_size = std::size_t{64} << 10;

// Of the one worker that this process is.
crash_record* record = nullptr;
pid_t watched_process = 0;
std::terminate_handler terminate_before = nullptr;
atomic<int> reporting_thread; // 0: nobody crashes
int reported_signal = 0;      // the reporting thread's

int this_thread() noexcept { return static_cast<int>(::syscall(SYS_gettid)); }

[[noreturn]] void die_of(int signal) noexcept {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
    sigset_t only;
    ::sigemptyset(&only);
    ::sigaddset(&only, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    ::syscall(SYS_tgkill, ::getpid(), this_thread(), signal);
    for (;;) ::pause();
}

template <std::size_t Size>
void copy_text(char (&to)[Size], const char* from) noexcept { // NOLINT(modernize-avoid-c-arrays): in the lane
    std::size_t i = 0;
    for (; i + 1 < Size && from[i] != '\0'; ++i) to[i] = from[i];
    to[i] = '\0';
}

// The module's own headers, as they are mapped. Only what lies in their first page is believed.
void copy_build_id(crash_record::module& m, const std::byte* begin) noexcept {
    constexpr std::size_t page = 4096;
    ElfW(Ehdr) header;
    std::memcpy(&header, begin, sizeof(header));
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr)) ||
        header.e_phoff > page || header.e_phnum > (page - header.e_phoff) / sizeof(ElfW(Phdr)))
        return;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        ElfW(Phdr) segment;
        std::memcpy(&segment, begin + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_NOTE) continue;
        const auto* notes = reinterpret_cast<const std::byte*>(m.base + segment.p_vaddr);
        const std::span<const std::byte> id = build_id_in({notes, segment.p_filesz});
        if (id.empty()) continue;
        m.build_id_size = static_cast<std::uint32_t>(id.size());
        std::memcpy(m.build_id, id.data(), id.size());
        return;
    }
}

std::uint32_t module_number(const dl_find_object& found) noexcept {
    const std::uint64_t base = found.dlfo_link_map->l_addr;
    const std::uint32_t count = record->module_count;
    for (std::uint32_t i = 0; i < count; ++i)
        if (record->modules[i].base == base) return i;
    if (count == crash_record::most_modules) return crash_record::no_module;
    crash_record::module& m = record->modules[count];
    m.base = base;
    copy_text(m.path, found.dlfo_link_map->l_name != nullptr ? found.dlfo_link_map->l_name : "");
    copy_build_id(m, static_cast<const std::byte*>(found.dlfo_map_start));
    // The compiler's order is enough: nobody else reads before we are dead.
    std::atomic_signal_fence(std::memory_order_release);
    record->module_count = count + 1;
    return count;
}

// False: there is room for no more.
bool add_frame(std::uint64_t address) noexcept {
    const std::uint32_t count = record->frame_count;
    if (count == crash_record::most_frames) return false;
    crash_record::frame& f = record->frames[count];
    f.offset = address;
    f.module = crash_record::no_module;
    dl_find_object found{};
    if (::_dl_find_object(reinterpret_cast<void*>(address), &found) == 0 && found.dlfo_link_map != nullptr) {
        f.module = module_number(found);
        if (f.module != crash_record::no_module) f.offset = address - record->modules[f.module].base;
    }
    std::atomic_signal_fence(std::memory_order_release); // as above
    record->frame_count = count + 1;
    return true;
}

struct walk {
    std::uint64_t crashed_at; // where the signal hit
    bool inside = true;       // still in our own frames
};

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* argument) noexcept {
    walk& w = *static_cast<walk*>(argument);
    int exact = 0;
    const std::uint64_t address = _Unwind_GetIPInfo(context, &exact);
    if (w.inside && address != w.crashed_at) return _URC_NO_REASON;
    // A return address may be the first of the next function: what is meant is the call before it.
    const bool is_call = !w.inside && exact == 0;
    w.inside = false;
    return add_frame(is_call ? address - 1 : address) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

struct crash_registers {
    std::uint64_t program;
    std::uint64_t caller; // where a called function would return to, if nothing has been pushed yet
};

crash_registers registers_of(const void* context) noexcept {
    const mcontext_t& m = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    const auto stack = static_cast<std::uintptr_t>(m.gregs[REG_RSP]);
    const auto program = static_cast<std::uint64_t>(m.gregs[REG_RIP]);
    // Looked at only for a jump to where no code is: then a call has just pushed it.
    if (program >= 4096) return {program, 0};
    return {program, *reinterpret_cast<const std::uint64_t*>(stack)};
#elif defined(__aarch64__)
    return {m.pc, m.regs[30]};
#else
    static_cast<void>(m);
    return {0, 0};
#endif
}

void walk_stack(const void* context) noexcept {
    const crash_registers at = registers_of(context);
    walk w{at.program};
    ::_Unwind_Backtrace(&note_frame, &w);
    // A call through a null pointer: there are no tables for where we are, but whoever called is known.
    if (record->frame_count <= 1 && at.program < 4096 && at.caller != 0) {
        if (w.inside) add_frame(at.program);
        add_frame(at.caller - 1);
    }
}

void report_crash(int signal, siginfo_t* about, void* context) noexcept {
    if (::getpid() != watched_process) die_of(signal); // a child of the task's, with the same lane
    int nobody = 0;
    const int self = this_thread();
    // acq_rel: one thread reports; another one that crashes meanwhile waits for its end.
    if (!reporting_thread.compare_exchange(nobody, self, order::acq_rel, order::acquire)) {
        if (nobody == self) die_of(reported_signal); // the report itself has failed
        for (;;) ::pause();
    }
    reported_signal = signal;
    record->signal = signal;
    record->code = about->si_code;
    record->address =
        reinterpret_cast<std::uintptr_t>(signal == SIGSYS ? about->si_call_addr : about->si_addr);
    walk_stack(context);
    die_of(signal);
}

void note_thrown() noexcept {
    if (const std::type_info* type = abi::__cxa_current_exception_type(); type != nullptr) {
        copy_text(record->thrown_type, type->name());
        try {
            throw;
        } catch (const std::exception& e) {
            copy_text(record->thrown_message, e.what());
        } catch (const char* text) {
            if (text != nullptr) copy_text(record->thrown_message, text);
        } catch (...) { // the type says all there is
        }
    }
    record->thrown = 1;
}

[[noreturn]] void report_terminate() {
    if (::getpid() == watched_process) note_thrown();
    if (terminate_before != nullptr) terminate_before();
    std::abort();
}

} // namespace

void use_crash_stack() noexcept {
    stack_t there{};
    if (::sigaltstack(nullptr, &there) != 0 || (there.ss_flags & SS_DISABLE) == 0) return; // it has one
    void* memory = ::mmap(nullptr, crash_stack_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return; // then only what does not overflow the stack is reported
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = crash_stack_size;
    ::sigaltstack(&stack, nullptr);
}

void watch_for_crashes(crash_record& where) noexcept {
    record = &where;
    watched_process = ::getpid();
    use_crash_stack();
    // The first walk loads and binds what it needs; in the handler that would take locks.
    walk nothing{~std::uint64_t{0}};
    ::_Unwind_Backtrace(&note_frame, &nothing);
    dl_find_object unused{};
    ::_dl_find_object(reinterpret_cast<void*>(&watch_for_crashes), &unused);
    terminate_before = std::set_terminate(&report_terminate);
    for (const int signal : deadly_signals) {
        struct sigaction there{};
        if (::sigaction(signal, nullptr, &there) != 0 || there.sa_handler != SIG_DFL) continue;
        struct sigaction ours{};
        ours.sa_sigaction = &report_crash;
        // Not blocked meanwhile: a fault within the report must come to `die_of`.
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        ::sigemptyset(&ours.sa_mask);
        ::sigaction(signal, &ours, nullptr);
    }
}

} // namespace plait::detail
