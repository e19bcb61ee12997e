// SPDX-License-Identifier: Apache-2.0
#include "testing/fiber.hpp"

#include <cxxabi.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define PLAIT_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIT_FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define PLAIT_FIBER_TSAN 1
#endif
#endif

#ifdef PLAIT_FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef PLAIT_FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// switch(save, load): keeps the registers that a call must preserve on the stack, its pointer in *save, and takes up what
// `load` was saved as. A fresh stack is laid out as if it had been saved at the beginning of plait_fiber_start.
extern "C" {
void plait_fiber_switch(void** save, void* load) noexcept;
void plait_fiber_start() noexcept;
}

#if defined(__x86_64__)
asm(R"(
    .text
    .hidden plait_fiber_switch
    .globl plait_fiber_switch
    .type plait_fiber_switch, @function
plait_fiber_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size plait_fiber_switch, .-plait_fiber_switch
    .hidden plait_fiber_start
    .globl plait_fiber_start
    .type plait_fiber_start, @function
plait_fiber_start:
    .cfi_startproc
    .cfi_undefined rip
    movq %r12, %rdi
    callq *%r13
    ud2
    .cfi_endproc
    .size plait_fiber_start, .-plait_fiber_start
)");
#elif defined(__aarch64__)
asm(R"(
    .text
    .hidden plait_fiber_switch
    .globl plait_fiber_switch
    .type plait_fiber_switch, @function
plait_fiber_switch:
    .cfi_startproc
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .cfi_endproc
    .size plait_fiber_switch, .-plait_fiber_switch
    .hidden plait_fiber_start
    .globl plait_fiber_start
    .type plait_fiber_start, @function
plait_fiber_start:
    .cfi_startproc
    .cfi_undefined x30
    mov x0, x19
    blr x20
    brk #1
    .cfi_endproc
    .size plait_fiber_start, .-plait_fiber_start
)");
#else
#error "plait::testing: no switch between stacks for this processor; add one to src/testing/fiber.cpp"
#endif

namespace plait::testing::model {

namespace {

// The first two words of what the run-time keeps for each thread; laid down by the Itanium C++ ABI.
struct exception_state {
    void* caught;
    unsigned uncaught;
};
exception_state& exceptions_here() noexcept {
    return *reinterpret_cast<exception_state*>(__cxxabiv1::__cxa_get_globals());
}

} // namespace

thread_local fiber* fiber::left_ = nullptr;

fiber::fiber() noexcept {
#ifdef PLAIT_FIBER_TSAN
    tsan_ = __tsan_get_current_fiber();
#endif
}

fiber::fiber(std::size_t stack_size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    size_ = (stack_size + page - 1) / page * page + page;
    void* const memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc{};
    ::mprotect(memory, page, PROT_NONE); // a stack that is too small ends here, and not in something else
    stack_ = static_cast<unsigned char*>(memory);
    bottom_ = stack_ + page;
#ifdef PLAIT_FIBER_TSAN
    tsan_ = __tsan_create_fiber(0);
#endif
}

fiber::~fiber() {
    if (!stack_ || abandoned_) return;
#ifdef PLAIT_FIBER_TSAN
    __tsan_destroy_fiber(tsan_);
#endif
    ::munmap(stack_, size_);
}

void fiber::abandon() noexcept {
    abandoned_ = true;
#ifdef PLAIT_FIBER_ASAN
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    __lsan_register_root_region(stack_ + page, size_ - page);
#endif
}

void fiber::restart(void (*entry)(void*), void* argument) noexcept {
    entry_ = entry;
    argument_ = argument;
    caught_ = nullptr;
    uncaught_ = 0;
    fake_stack_ = nullptr;
#ifdef PLAIT_FIBER_ASAN
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    __asan_unpoison_memory_region(stack_ + page, size_ - page);
#endif
    // 16-byte alignment at the call in plait_fiber_start.
    auto* top = reinterpret_cast<std::uintptr_t*>(stack_ + size_);
#if defined(__x86_64__)
    top -= 2;
    *--top = reinterpret_cast<std::uintptr_t>(&plait_fiber_start);
    *--top = 0;                                        // rbp
    *--top = 0;                                        // rbx
    *--top = reinterpret_cast<std::uintptr_t>(this);   // r12
    *--top = reinterpret_cast<std::uintptr_t>(&begin); // r13
    *--top = 0;                                        // r14
    *--top = 0;                                        // r15
#else
    top -= 20;
    for (int i = 0; i < 20; ++i) top[i] = 0;
    top[0] = reinterpret_cast<std::uintptr_t>(this);                // x19
    top[1] = reinterpret_cast<std::uintptr_t>(&begin);              // x20
    top[11] = reinterpret_cast<std::uintptr_t>(&plait_fiber_start); // x30
#endif
    stack_pointer_ = top;
}

// What is left to be done by whoever has just been switched to.
void fiber::arrived(fiber& from) noexcept {
#ifdef PLAIT_FIBER_ASAN
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
    if (!from.stack_) { // where the OS thread's own stack lies is learned when it is left for the first time
        from.bottom_ = bottom;
        from.size_ = size;
    }
#else
    static_cast<void>(from);
#endif
    exception_state& now = exceptions_here();
    now.caught = caught_;
    now.uncaught = uncaught_;
}

void fiber::switch_from(fiber& from, [[maybe_unused]] bool ended) noexcept {
    const exception_state& now = exceptions_here();
    from.caught_ = now.caught;
    from.uncaught_ = now.uncaught;
    left_ = &from;
#ifdef PLAIT_FIBER_ASAN
    const auto page = stack_ ? static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
    __sanitizer_start_switch_fiber(ended ? nullptr : &from.fake_stack_, bottom_, size_ - page);
#endif
#ifdef PLAIT_FIBER_TSAN
    __tsan_switch_to_fiber(tsan_, 0);
#endif
    plait_fiber_switch(&from.stack_pointer_, stack_pointer_);
    from.arrived(*left_);
}

void fiber::begin(void* self) {
    fiber& f = *static_cast<fiber*>(self);
    f.arrived(*left_);
    f.entry_(f.argument_);
    __builtin_trap(); // entry must not return
}

} // namespace plait::testing::model
