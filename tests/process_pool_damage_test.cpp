// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Tasks that harm the worker that they run in: its descriptors, its memory. They harm themselves only.
#include <gtest/gtest.h>

#include <unistd.h>

#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::worker_lost;

// What became of a task that may cost itself.
template <class T>
bool is_lost(plait::future<T>& f) {
    try {
        f.get();
        return false;
    } catch (const worker_lost& e) {
        EXPECT_NE(std::string{e.what()}.find("descriptors"), std::string::npos) << e.what();
        return true;
    }
}

void close_all() { ::closefrom(3); }

TEST(ProcessPoolDamage, ATaskThatClosesAllDescriptorsCostsAtMostItself) {
    process_pool pool{{.workers = 1}};
    for (int round = 0; round < 20; ++round) {
        auto rude = pool.submit(close_all);
        std::vector<plait::future<int>> next;
        for (int i = 0; i < 20; ++i) next.push_back(pool.submit(add, i, round));
        is_lost(rude);
        for (int i = 0; i < 20; ++i) EXPECT_EQ(next[static_cast<std::size_t>(i)].get(), i + round);
    }
    pool.shutdown();
}

TEST(ProcessPoolDamage, LargeArgumentsBehindSuchATaskArrive) {
    process_pool pool{{.workers = 1}};
    const std::vector<char> large(std::size_t{3} << 20, 'x');
    for (int round = 0; round < 10; ++round) {
        auto rude = pool.submit(close_all);
        auto next = pool.submit(size_of, large);
        is_lost(rude);
        EXPECT_EQ(next.get(), large.size());
    }
}

TEST(ProcessPoolDamage, ALargeResultWithoutDescriptorsIsLostAndNotWaitedFor) {
    process_pool pool{{.workers = 1}};
    auto rude = pool.submit([] {
        ::closefrom(3);
        return std::vector<char>(std::size_t{20} << 20, 'x');
    });
    EXPECT_TRUE(is_lost(rude));
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

TEST(ProcessPoolDamage, AFileThatTakesADescriptorsNumberIsNeverWrittenTo) {
    process_pool pool{{.workers = 1}};
    shared_counter file; // its value is the file's size
    for (int round = 0; round < 5; ++round) {
        auto lowest = pool.submit(
            [](const std::string& path) {
                ::closefrom(3);
                return ::open(path.c_str(), O_RDWR | O_APPEND);
            },
            file.path());
        is_lost(lowest);
        auto all = pool.submit(
            [](const std::string& path) {
                const int fd = ::open(path.c_str(), O_RDWR | O_APPEND);
                for (int number = 3; number < 1024; ++number) ::dup2(fd, number);
            },
            file.path());
        is_lost(all);
        EXPECT_EQ(pool.submit(add, round, 1).get(), round + 1);
    }
    pool.shutdown();
    EXPECT_EQ(file.value(), 0);
}

TEST(ProcessPoolDamage, ATaskWithoutDescriptorsCanBeKilled) {
    process_pool pool{{.workers = 1}};
    shared_counter started;
    auto rude = pool.submit(
        [](const std::string& path) {
            ::closefrom(3);
            count(path);
            spin();
        },
        started.path());
    while (started.value() == 0) std::this_thread::yield();
    EXPECT_TRUE(rude.cancel(plait::cancel_mode::kill));
    rude.wait();
    EXPECT_TRUE(rude.cancelled());
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
}

TEST(ProcessPoolDamage, AnInitializerThatClosesAllDescriptorsBreaksThePoolWithItsCause) {
    process_pool pool{{.workers = 1, .initializer = close_all}};
    try {
        pool.submit(add, 1, 1).get();
        ADD_FAILURE() << "it ran";
    } catch (const plait::pool_broken& e) {
        EXPECT_NE(std::string{e.what()}.find("descriptors"), std::string::npos) << e.what();
    }
}

} // namespace
