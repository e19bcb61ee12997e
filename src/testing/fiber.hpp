// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::testing::model {

/// A stack of its own on which a model thread runs; the OS thread goes from one to the other when told to.
///
/// Why not real threads: handing over between them costs 5 to 10 us, this costs some ns, and a schedule has dozens.
class fiber {
  public:
    /// The stack that the caller stands on: nothing is allocated.
    fiber() noexcept;
    /// One that has not begun; see restart(). Throws bad_alloc.
    explicit fiber(std::size_t stack_size);
    fiber(const fiber&) = delete;
    fiber& operator=(const fiber&) = delete;
    ~fiber();

    /// From now on it is one that has not begun: `entry(argument)` runs when it is switched to, and must not return.
    /// What stood on the stack is forgotten.
    void restart(void (*entry)(void*), void* argument) noexcept;

    /// From `from`, on which the caller stands, to this one; returns when somebody switches back. `ended`: never.
    void switch_from(fiber& from, bool ended = false) noexcept;

    /// It will never go on: what it refers to is not a leak.
    void abandon() noexcept;

  private:
    [[noreturn]] static void begin(void* self);
    void arrived(fiber& from) noexcept;

    void* stack_pointer_ = nullptr;
    unsigned char* stack_ = nullptr; // mapped, its lowest page not accessible
    std::size_t size_ = 0;
    void (*entry_)(void*) = nullptr;
    void* argument_ = nullptr;
    bool abandoned_ = false;

    // What the C++ run-time keeps for each thread: exceptions that are being handled.
    void* caught_ = nullptr;
    unsigned uncaught_ = 0;

    // The sanitizers'.
    void* fake_stack_ = nullptr;
    const void* bottom_ = nullptr;
    [[maybe_unused]] void* tsan_ = nullptr;
    static thread_local fiber* left_;
};

} // namespace plait::testing::model
