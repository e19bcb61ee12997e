// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

// What the model's types (plait/testing_explore.hpp) are built on: each member below is a step of the exploration that runs on
// this thread. Values are 64 bits here, orders are <atomic>'s as numbers.

namespace plait::testing::model {

using site = std::source_location;
using bits = std::uint64_t;

class location;
class execution;

enum class change : unsigned char { exchange, add, subtract, bit_or, bit_and, bit_xor };

/// An atomic word. Outside of an exploration it is a plain one.
class [[gnu::visibility("default")]] word {
  public:
    constexpr word(bits initial, unsigned bytes) noexcept
        : latest_{initial}, narrower_{static_cast<std::uint8_t>(sizeof(bits) - bytes)} {}
    word(const word&) = delete;
    word& operator=(const word&) = delete;
    ~word() {
        if (place_) forget();
    }

    bits load(int order, const site& where) const noexcept;
    void store(bits value, int order, const site& where) noexcept;
    bits modify(change what, bits operand, int order, const site& where) noexcept;
    bool compare_exchange(bits& expected, bits desired, int success, int failure, const site& where) noexcept;

    /// Where the value stands that was stored last: for futex calls.
    const void* address() const noexcept { return &latest_; }
    /// Of the value, in bytes.
    unsigned size() const noexcept { return sizeof(bits) - narrower_; }

  private:
    friend class location;
    void forget() noexcept;

    bits latest_;
    mutable location* place_ = nullptr; // in the run that has seen it last
    mutable std::uint32_t run_ = 0;
    std::uint8_t narrower_; // than `bits`, in bytes: so that what is cleared like memory is a word too
};

void fence(int order, const site& where) noexcept;
/// As membarrier(2) does it: a seq_cst fence in each of the threads, wherever it stands.
[[gnu::visibility("default")]] void fence_everywhere(const site& where) noexcept;

/// Memory that is not atomic: whether two threads get in each other's way is found from what happens before what.
class [[gnu::visibility("default")]] plain_memory {
  public:
    void read(const site& where) const noexcept;
    void write(const site& where) noexcept;

  private:
    friend class execution;
    static constexpr unsigned most_threads = 8;
    mutable std::uint32_t run_ = 0;
    mutable std::uint32_t written_by_ = 0;
    mutable std::uint32_t written_at_ = 0;
    mutable std::uint32_t read_at_[most_threads] = {}; // NOLINT(cppcoreguidelines-avoid-c-arrays)
};

/// Who holds it; taking it is a wait until it is free.
class [[gnu::visibility("default")]] lock_word {
  public:
    lock_word() = default;
    lock_word(const lock_word&) = delete;
    lock_word& operator=(const lock_word&) = delete;
    ~lock_word();

    void lock(const site& where) noexcept;
    bool try_lock(const site& where) noexcept;
    void unlock(const site& where) noexcept;

  private:
    friend class condition_word;
    friend struct inside;
    int owner_ = -1;
    const void* published_ = nullptr; // by who released it last
    std::uint32_t run_ = 0;
};

class [[gnu::visibility("default")]] condition_word {
  public:
    condition_word() = default;
    condition_word(const condition_word&) = delete;
    condition_word& operator=(const condition_word&) = delete;
    ~condition_word();

    /// False: the time was up, which may be at any moment if it is bounded.
    bool wait(lock_word& lock, bool bounded, const site& where) noexcept;
    void notify(unsigned most, const site& where) noexcept;
};

/// As the kernel's. 0: woken, 1: the word was not `expected`, 2: the time was up.
[[gnu::visibility("default")]] int futex_wait(const std::uint32_t* word, std::uint32_t expected, bool bounded,
                                              const site& where) noexcept;
[[gnu::visibility("default")]] int futex_wake(const std::uint32_t* word, unsigned most,
                                              const site& where) noexcept;

/// The calling thread polls: it goes on when another one has changed something, and then sees it.
[[gnu::visibility("default")]] void pause(const site& where) noexcept;

/// Each of 0 .. n - 1 in some run.
[[gnu::visibility("default")]] unsigned choose(unsigned n, const site& where) noexcept;

/// A thread of the exploration; `body` is called once, and then `destroy`.
struct thread_body {
    void (*run)(void*);
    void (*destroy)(void*) noexcept;
    void* self;
};
[[gnu::visibility("default")]] int start(const char* name, thread_body body);
[[gnu::visibility("default")]] void join(int thread, const site& where) noexcept;
[[gnu::visibility("default")]] void detach(int thread) noexcept;
[[gnu::visibility("default")]] int this_thread() noexcept; // -1: outside of an exploration

/// Ends the exploration: this schedule is a failure.
[[noreturn, gnu::visibility("default")]] void fail(const char* what, const site& where) noexcept;

[[gnu::visibility("default")]] void label(const void* object, std::size_t size, const char* name);

/// What each thread has its own of, as thread_local does for real ones: swapped whenever another one goes on. Called
/// before an exploration on its OS thread, for all that follow; each thread begins with what is there then.
[[gnu::visibility("default")]] void swap_with_thread(void* object, std::size_t size);

// Values as bits and back.

template <std::size_t Size>
using unsigned_of =
    std::conditional_t<Size == 1, std::uint8_t,
                       std::conditional_t<Size == 2, std::uint16_t,
                                          std::conditional_t<Size == 4, std::uint32_t, std::uint64_t>>>;

template <class T>
concept word_sized =
    std::is_trivially_copyable_v<T> && (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

template <word_sized T>
constexpr bits to_bits(T value) noexcept {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): of the pointer itself, where T is one
    return std::bit_cast<unsigned_of<sizeof(T)>>(value);
}
template <word_sized T>
constexpr T from_bits(bits value) noexcept {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): likewise
    return std::bit_cast<T>(static_cast<unsigned_of<sizeof(T)>>(value));
}

} // namespace plait::testing::model
