// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Tasks that harm the worker that they run in: its descriptors, its memory. They harm themselves only.
#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <deque>
#include <mutex>

#include "support/own_lane.hpp"
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

struct damages_its_ring {
    std::vector<char> content;
    template <class Archive>
    void save(Archive& archive) const {
        archive(content, content, content);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(content); // more is to come than the ring holds
        own_lane().header().to_worker.consumed.store(~std::uint64_t{0} / 2);
        archive(content, content);
    }
};

TEST(ProcessPoolDamage, AWorkerThatDamagesItsRingIsKilled) {
    process_pool pool{{.workers = 1}};
    for (int round = 0; round < 3; ++round) {
        const auto result = [](std::vector<char> much) {
            own_lane().header().to_parent.produced.store(std::uint64_t{1} << 40);
            return much;
        };
        auto arguments = pool.submit([](damages_its_ring) {},
                                     damages_its_ring{std::vector<char>(std::size_t{6} << 20, 'x')});
        auto next = pool.submit(add, round, 1);
        auto much = pool.submit(result, std::vector<char>(std::size_t{3} << 20, 'x'));
        try {
            arguments.get();
            ADD_FAILURE() << "it was read";
        } catch (const worker_lost& e) {
            EXPECT_NE(std::string{e.what()}.find("damaged"), std::string::npos) << e.what();
        }
        EXPECT_EQ(next.get(), round + 1);
        EXPECT_THROW(much.get(), worker_lost);
    }
}

// A result that asks for the next one when it is read, which the pool's own thread does, or one that waits: so that thread
// is never without one.
struct chained {
    static inline process_pool* pool = nullptr;
    static inline std::atomic<bool> over{false};
    static inline std::mutex mutex;
    static inline std::deque<plait::future<chained>> links;
    template <class Archive>
    void save(Archive& archive) const {
        archive(1);
    }
    template <class Archive>
    void load(Archive& archive) {
        int one = 0;
        archive(one);
        if (over) return;
        auto next = pool->submit([] { return chained{}; }); // which may read others
        plait::future<chained> oldest;
        {
            const std::lock_guard guard{mutex};
            links.push_back(std::move(next));
            if (links.size() > 100) {
                oldest = std::move(links.front());
                links.pop_front();
            }
        }
        // The worker is done with the next ones meanwhile.
        for (int i = 0; i < 2000; ++i) plait::detail::spin_pause();
    }
};

TEST(ProcessPoolDamage, ADeathIsSeenWhileOtherResultsKeepComing) {
    process_pool pool{{.workers = 2}};
    chained::pool = &pool;
    shared_counter started;
    auto victim = pool.submit(
        [](const std::string& path) {
            count(path);
            spin();
        },
        started.path());
    while (started.value() == 0) std::this_thread::yield();
    int pid = 0;
    for (const auto& w : pool.status())
        if (w.task != 0) pid = w.pid;
    ASSERT_GT(pid, 0);
    std::vector<plait::future<chained>> first;
    for (int i = 0; i < 50; ++i) first.push_back(pool.submit([] { return chained{}; }));
    for (auto& f : first) f.get(); // none of them waits behind the victim
    ::kill(pid, SIGKILL);
    EXPECT_THROW(victim.get(), worker_lost);
    chained::over = true;
    pool.shutdown();
    chained::links.clear();
}

} // namespace
