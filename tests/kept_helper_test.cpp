// SPDX-License-Identifier: Apache-2.0
// limit: 60
// program_options.keep_helper: pools forked of one helper that stays, whoever is killed.
#include <gtest/gtest.h>

#include <plait/program.hpp>

#include <sys/wait.h>

#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "support/process_status.hpp"
#include "support/process_tasks.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::program;

int parent_of(int pid) { return status_of(pid).parent; }

// Those of ours that have not ended.
std::set<int> children() {
    std::set<int> found;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        const int pid = std::atoi(entry.path().filename().c_str());
        if (pid == 0) continue;
        const process_status s = status_of(pid);
        if (s.parent == ::getpid() && !s.has_ended()) found.insert(pid);
    }
    return found;
}

class KeptHelper : public ::testing::Test {
  protected:
    void SetUp() override {
        before = children();
        keeper = std::make_unique<program>(0, nullptr, plait::program_options{.keep_helper = true});
    }
    // The one that we have, besides what there was before.
    int helper() const {
        for (const int pid : children())
            if (!before.contains(pid)) return pid;
        return 0;
    }
    void TearDown() override {
        keeper.reset();
        EXPECT_EQ(children(), before);
    }
    // Killed, and gone from among our children.
    static void kill(int pid) {
        const int parent = parent_of(pid);
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
        while (!status_of(pid).has_ended() && parent_of(pid) == parent) std::this_thread::yield();
    }

    std::set<int> before;
    std::unique_ptr<program> keeper;
};

TEST_F(KeptHelper, HasEachPoolForkedOfIt) {
    const int kept = helper();
    ASSERT_NE(kept, 0);
    for (int round = 0; round < 20; ++round) {
        int worker = 0;
        {
            process_pool pool{{.workers = 2}};
            worker = pool.submit(pid_of_worker).get();
            EXPECT_EQ(parent_of(parent_of(worker)), kept);
        }
        EXPECT_NE(parent_of(parent_of(worker)), kept) << "it outlives its pool";
    }
    EXPECT_EQ(helper(), kept);
}

TEST_F(KeptHelper, ThatIsKilledIsStartedOnceMore) {
    const int killed = helper();
    process_pool older{{.workers = 1}};
    const int first = older.submit(pid_of_worker).get();
    kill(killed);
    EXPECT_EQ(older.submit(pid_of_worker).get(), first) << "a pool does not need it any more";
    kill(first);
    EXPECT_NE(older.submit({.retries = 2}, pid_of_worker).get(), first);
    process_pool younger{{.workers = 1}};
    const int kept = parent_of(parent_of(younger.submit(pid_of_worker).get()));
    EXPECT_NE(kept, killed);
    EXPECT_EQ(parent_of(kept), ::getpid());
}

TEST_F(KeptHelper, ReplacesAPoolsOwn) {
    process_pool pool{{.workers = 1}};
    const int worker = pool.submit(pid_of_worker).get();
    kill(parent_of(worker));
    kill(worker);
    const int next = pool.submit({.retries = 2}, pid_of_worker).get();
    EXPECT_NE(next, worker);
    EXPECT_EQ(parent_of(parent_of(next)), helper());
}

TEST_F(KeptHelper, ServesManyThreads) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t)
        threads.emplace_back([t] {
            for (int round = 0; round < 5; ++round) {
                process_pool pool{{.workers = 1}};
                EXPECT_EQ(pool.submit(add, t, round).get(), t + round);
            }
        });
    for (std::thread& t : threads) t.join();
}

TEST_F(KeptHelper, MayEndBeforeItsPools) {
    process_pool pool{{.workers = 1}};
    const int worker = pool.submit(pid_of_worker).get();
    keeper.reset();
    EXPECT_EQ(pool.submit(add, 2, 3).get(), 5);
    kill(worker);
    EXPECT_EQ(pool.submit({.retries = 2}, add, 3, 4).get(), 7);
}

TEST_F(KeptHelper, IsNotItsProgramsChildrens) {
    const int kept = helper();
    const pid_t child = ::fork();
    if (child == 0) {
        keeper.reset();
        ::_exit(0);
    }
    int how = -1;
    ASSERT_EQ(::waitpid(child, &how, 0), child);
    EXPECT_EQ(how, 0);
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(parent_of(parent_of(pool.submit(pid_of_worker).get())), kept);
}

} // namespace
