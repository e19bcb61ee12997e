// SPDX-License-Identifier: Apache-2.0
// What can be sent to a worker: which functions, and which values are refused.
#include <gtest/gtest.h>

#include <plait/serialize.hpp>

#include "support/process_tasks.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <sys/personality.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace {

using namespace process_tasks;
using plait::process_pool;

struct calculator {
    static int negate(int n) { return -n; }
};
template <int Factor, class T>
T times(T n) {
    return Factor * n;
}

TEST(ProcessPoolFunctions, P24_EveryKindOfFunctionOfTheProgram) {
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit(add, 2, 3).get(), 5);
    EXPECT_EQ(pool.submit(&add, 2, 3).get(), 5);
    EXPECT_EQ(pool.submit(calculator::negate, 4).get(), -4);
    EXPECT_EQ(pool.submit(times<3, int>, 5).get(), 15);
    EXPECT_EQ(pool.submit(times<3, double>, 0.5).get(), 1.5);
    EXPECT_EQ(pool.submit([](int n) { return n + 1; }, 6).get(), 7);
    EXPECT_EQ(pool.submit([](auto n) { return n + n; }, std::string{"ab"}).get(), "abab");
    int (*const chosen)(int) = ::getpid() > 0 ? calculator::negate : times<2, int>;
    EXPECT_EQ(pool.submit(chosen, 8).get(), -8) << "one that is known at run time only";
}

TEST(ProcessPoolFunctions, P24_OfALibraryThatTheProgramWasLinkedWith) {
    process_pool pool{{.workers = 1}};
    const int there = pool.submit(::getpid).get();
    EXPECT_NE(there, ::getpid());
    EXPECT_EQ(there, pool.status()[0].pid);
}

TEST(ProcessPoolFunctions, P24_OfALibraryThatWasLoadedAtRunTime) {
    process_pool before{{.workers = 1}}; // its worker cannot have inherited it
    void* const library = ::dlopen(PLAIT_SHARED_FUNCTIONS, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto shared_add = reinterpret_cast<int (*)(int, int)>(::dlsym(library, "plait_test_shared_add"));
    ASSERT_NE(shared_add, nullptr) << ::dlerror();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(before.submit(shared_add, i, 5).get(), i + 5);
    process_pool after{{.workers = 1}};
    EXPECT_EQ(after.submit(shared_add, 2, 5).get(), 7);
    ::dlclose(library);
}

TEST(ProcessPoolFunctions, P24_AddressesDifferFromProcessToProcess) {
    std::ifstream self{"/proc/self/exe", std::ios::binary};
    Elf64_Ehdr header{};
    self.read(reinterpret_cast<char*>(&header), sizeof(header));
    EXPECT_EQ(header.e_type, ET_DYN) << "these tests are to be position independent";
    process_pool pool{{.workers = 1}};
    const auto where = [] { return reinterpret_cast<std::uintptr_t>(&calculator::negate); };
    const std::uintptr_t there = pool.submit(where).get();
    std::ifstream setting{"/proc/sys/kernel/randomize_va_space"};
    int randomized = 0;
    setting >> randomized;
    // Debuggers and some sanitizers switch it off.
    if (randomized == 2 && (::personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0) {
        EXPECT_NE(there, where());
    }
}

struct has_pointer {
    int* inner;
};
struct plain {
    int number;
    double other;
};
template <class T>
inline constexpr bool refused = !plait::sendable<T>;

// The messages: tests/compile_fail/process_*.cpp.
TEST(ProcessPoolFunctions, P25_WhatWouldDangleIsNotSendable) {
    int local = 1;
    const auto by_value = [local] { return local; };
    const auto by_reference = [&local] { return local; };
    static_assert(refused<int*> && refused<has_pointer> && refused<std::vector<has_pointer>>);
    static_assert(refused<std::string_view> && refused<std::span<int>>);
    static_assert(refused<std::reference_wrapper<int>> && refused<std::mutex>);
    static_assert(refused<decltype(by_value)> && refused<decltype(by_reference)>);
    static_assert(refused<std::function<void()>>);
    static_assert(plait::sendable<int> && plait::sendable<plain> && plait::sendable<std::vector<plain>>);
    static_assert(plait::sendable<rich> && plait::sendable<std::unique_ptr<int>>);
    EXPECT_EQ(by_value() + by_reference(), 2);
}

} // namespace
