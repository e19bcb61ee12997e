// SPDX-License-Identifier: Apache-2.0
// limit: 60
// Memory that processes share, and how its descriptors travel.
#include <gtest/gtest.h>

#include <plait/shared_array.hpp>

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <system_error>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"
#include "sys/memory.hpp"

namespace {

using namespace process_tasks;
using plait::process_pool;
using plait::shared_array;
using plait::worker_lost;

std::size_t open_descriptors() {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !entry.path().empty();
    return n;
}

void fill(shared_array<int> a, int from) { std::iota(a.begin(), a.end(), from); }
int sum(const shared_array<const int>& a) { return std::accumulate(a.begin(), a.end(), 0); }

struct labelled {
    std::string name;
    std::vector<shared_array<int>> parts;
    std::optional<shared_array<const int>> view;
};
int sum_of(labelled l) {
    int total = 0;
    for (const auto& part : l.parts) total += std::accumulate(part.begin(), part.end(), 0);
    if (l.view) total += 1000 * l.view->at(0);
    return total;
}

TEST(SharedArray, I10_IsZeroedAndBothSidesSeeWhatIsWritten) {
    shared_array<int> a{1000};
    EXPECT_EQ(a.size(), 1000U);
    for (const int x : a) ASSERT_EQ(x, 0);
    process_pool pool{{.workers = 2}};
    pool.submit(fill, a, 7).get();
    EXPECT_EQ(a[0], 7);
    EXPECT_EQ(a.back(), 1006);
    a[0] = 1'000'007;
    EXPECT_EQ(pool.submit(sum, shared_array<const int>{a}).get(), std::accumulate(a.begin(), a.end(), 0));
}

TEST(SharedArray, I10_TravelsInsideStructsAndContainersAndComesBackAsTheSame) {
    process_pool pool{{.workers = 2}};
    shared_array<int> a{10};
    shared_array<int> b{10};
    std::iota(a.begin(), a.end(), 0);
    b.at(0) = 5;
    EXPECT_EQ(pool.submit(sum_of, labelled{"two", {a, b, a}, shared_array<const int>{b}}).get(),
              45 + 5 + 45 + 5000);
    EXPECT_EQ(pool.submit(sum_of, labelled{"none", {}, {}}).get(), 0);
    const labelled back = pool.submit(echo<labelled>, labelled{"two", {a, b}, {}}).get();
    ASSERT_EQ(back.parts.size(), 2U);
    EXPECT_TRUE(back.parts[0].same_as(a));
    EXPECT_EQ(back.parts[0].data(), a.data()); // mapped once in a process
    EXPECT_EQ(back.parts[1].data(), b.data());
    EXPECT_TRUE(pool.submit(echo<shared_array<int>>, shared_array<int>{}).get().empty());
}

TEST(SharedArray, I10_AWorkersOwnArrayComesBackAndOutlivesTheWorker) {
    std::vector<shared_array<int>> made;
    {
        process_pool pool{{.workers = 1}};
        made = pool.submit([] {
                       std::vector<shared_array<int>> all;
                       for (int i = 0; i < 3; ++i) {
                           all.emplace_back(100);
                           fill(all.back(), i);
                       }
                       return all;
                   })
                   .get();
    }
    ASSERT_EQ(made.size(), 3U);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(made[static_cast<std::size_t>(i)].at(99), 99 + i);
}

std::size_t shared_bytes_of_this_process() {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);)
        if (line.rfind("RssShmem:", 0) == 0) return std::stoull(line.substr(9)) * 1024;
    return 0;
}
std::size_t touch_all(shared_array<char> a) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < a.size(); i += 4096) n += static_cast<std::size_t>(a[i] == 'x');
    return n + shared_bytes_of_this_process() / a.size(); // mapped twice, it would count twice
}

TEST(SharedArray, I10_OneOf256MiBSentAHundredTimesTakesItsMemoryOnce) {
    const std::size_t size = std::size_t{256} << 20;
    shared_array<char> a{size};
    std::memset(a.data(), 'x', size);
    process_pool pool{{.workers = 2}};
    const std::size_t room = plait::detail::memory_room();
    std::vector<plait::future<std::size_t>> sent;
    for (int i = 0; i < 100; ++i) sent.push_back(pool.submit(touch_all, a));
    for (auto& f : sent) EXPECT_LE(f.get(), size / 4096 + 1);
    EXPECT_EQ(a.use_count(), 1U);
    EXPECT_GT(plait::detail::memory_room() + 10 * size,
              room); // others use memory too, but not a hundred times that
}

TEST(SharedArray, I11_LivesWhileAnyoneHoldsItAlsoAfterItsMakerDied) {
    process_pool pool{{.workers = 2}};
    shared_array<int> kept;
    {
        shared_array<int> a{10};
        kept = pool.submit(echo<shared_array<int>>, a).get();
    }
    kept[3] = 4;
    EXPECT_EQ(pool.submit(sum, shared_array<const int>{kept}).get(), 4);
    EXPECT_THROW(pool.submit(
                         [](shared_array<int> a) {
                             a[5] = 6;
                             die_by(SIGKILL);
                         },
                         kept)
                     .get(),
                 worker_lost);
    EXPECT_EQ(kept[5], 6);
}

TEST(SharedArray, I11_HasNoNameAndIsGoneWithItsLastHandle) {
    const std::size_t before = open_descriptors();
    const auto names = [] {
        std::size_t n = 0;
        for (const auto& e : std::filesystem::directory_iterator{"/dev/shm"}) n += !e.path().empty();
        return n;
    };
    const std::size_t shm = names();
    {
        shared_array<int> a{10};
        const shared_array<const int> view = a;
        EXPECT_EQ(names(), shm);
        EXPECT_EQ(open_descriptors(), before + 1); // the view is a second mapping of the same file
        EXPECT_EQ(view.size(), a.size());
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(SharedArray, I12_WithoutRoomConstructionThrows) {
    const std::size_t room = plait::detail::memory_room();
    EXPECT_THROW((shared_array<char>{room + (std::size_t{64} << 20)}), std::system_error);
    if (thread_sanitizer || address_sanitizer) return; // their own reservations exceed any such limit
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    rlimit tight = before;
    tight.rlim_cur = std::size_t{4} << 30;
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
    EXPECT_THROW((shared_array<char>{std::size_t{4} << 30}), std::system_error);
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
}

TEST(SharedArray, I12_AFileSizeLimitIsAnErrorAndNoSignal) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit tight = before;
    tight.rlim_cur = 1 << 20;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
    std::error_code code;
    try {
        shared_array<char> a{2 << 20};
    } catch (const std::system_error& e) {
        code = e.code();
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(code, std::errc::file_too_large);
}

// Directories as a kernel shows them.
class groups {
  public:
    groups() {
        char name[] = "/tmp/plait-groups-XXXXXX";
        root_ = ::mkdtemp(name);
    }
    groups(const groups&) = delete;
    groups& operator=(const groups&) = delete;
    ~groups() { std::filesystem::remove_all(root_); }
    void write(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream{root_ / path} << text;
    }
    std::uint64_t room() const {
        return plait::detail::memory_room(root_ / "membership", root_ / "fs", root_ / "meminfo");
    }

  private:
    std::filesystem::path root_;
};

TEST(SharedArray, I12_TheTightestControlGroupAndTheMachineAreRead) {
    groups g;
    EXPECT_EQ(g.room(), std::numeric_limits<std::uint64_t>::max());
    g.write("meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\nSwapFree:  1000 kB\n");
    EXPECT_EQ(g.room(), 6000U * 1024);
    g.write("membership", "0::/outer/inner\n");
    g.write("fs/outer/inner/memory.max", "max\n");
    g.write("fs/outer/inner/memory.current", "1000\n");
    EXPECT_EQ(g.room(), 6000U * 1024);
    g.write("fs/outer/memory.max", "100000\n");
    g.write("fs/outer/memory.current", "60000\n");
    EXPECT_EQ(g.room(), 40000U);
    g.write("fs/outer/memory.stat", "anon 1\ninactive_file 20000\n"); // can be dropped
    EXPECT_EQ(g.room(), 60000U);
    g.write("membership", "7:cpu,memory:/box\n");
    g.write("fs/memory/box/memory.limit_in_bytes", "3000");
    g.write("fs/memory/box/memory.usage_in_bytes", "5000");
    EXPECT_EQ(g.room(), 0U);
}

TEST(SharedArray, I12_ItsPagesAreThereFromTheStart) {
    struct stat file{};
    const plait::detail::unique_fd memory = plait::detail::make_sealed_memory("test", 10'000'000);
    plait::detail::reserve_memory(memory.get(), 10'000'000);
    ASSERT_EQ(::fstat(memory.get(), &file), 0);
    EXPECT_GE(file.st_blocks * 512, 10'000'000);
}

TEST(SharedArray, I13_EdgesOfSize) {
    const shared_array<int> none{0};
    EXPECT_TRUE(none.empty());
    EXPECT_EQ(none.data(), nullptr);
    EXPECT_EQ(none.begin(), none.end());
    EXPECT_THROW(none.at(0), std::out_of_range);
    EXPECT_THROW((shared_array<double>{std::numeric_limits<std::size_t>::max() / 4}), std::length_error);
    shared_array<int> three{3};
    EXPECT_EQ(three.at(2), 0);
    EXPECT_THROW(three.at(3), std::out_of_range);
}

TEST(SharedArray, HugePagesAreAskedForAndChangeNothingElse) {
    shared_array<double> a{3'000'000, {.huge_pages = true}};
    for (std::size_t i = 0; i < a.size(); i += 1000) ASSERT_EQ(a[i], 0.0);
    a[2'999'999] = 1;
    EXPECT_EQ(a.back(), 1);
}

int write_through(const shared_array<const int>& a) {
    std::signal(SIGSEGV, SIG_DFL);
    auto* p = const_cast<volatile int*>(a.data()); // NOLINT: what is tested
    *p = 1;
    return *p;
}

TEST(SharedArray, AViewIsMappedReadOnly) {
    process_pool pool{{.workers = 1}};
    shared_array<int> a{10};
    EXPECT_THROW(pool.submit(write_through, shared_array<const int>{a}).get(), worker_lost);
    EXPECT_EQ(a[0], 0);
    EXPECT_EQ(pool.submit(sum, shared_array<const int>{a}).get(), 0);
}

// ---- descriptors on their way
// --------------------------------------------------------------------------------------

int count_all(const std::vector<shared_array<int>>& all) {
    int n = 0;
    for (const auto& a : all) n += a.at(0);
    return n;
}

TEST(Handles, ManyMoreThanOneMessageCarriesTravelBothWays) {
    process_pool pool{{.workers = 2}};
    for (const std::size_t n : {1U, 252U, 253U, 254U, 600U}) {
        std::vector<shared_array<int>> all;
        for (std::size_t i = 0; i < n; ++i) {
            all.emplace_back(1);
            all.back()[0] = static_cast<int>(i);
        }
        EXPECT_EQ(pool.submit(count_all, all).get(), static_cast<int>(n * (n - 1) / 2)) << n;
        const auto back = pool.submit(echo<std::vector<shared_array<int>>>, all).get();
        ASSERT_EQ(back.size(), n);
        for (std::size_t i = 0; i < n; ++i) ASSERT_TRUE(back[i].same_as(all[i]));
    }
}

TEST(Handles, MoreThanTheWorkerMayHaveIsAnErrorOfTheTaskAndNothingElse) {
    if (address_sanitizer) GTEST_SKIP() << vptr_takes_a_descriptor;
    process_pool pool{{.workers = 1}};
    pool.submit([] {
            rlimit few{};
            ::getrlimit(RLIMIT_NOFILE, &few);
            few.rlim_cur = 40; // its own channel has higher numbers, and keeps them
            ::setrlimit(RLIMIT_NOFILE, &few);
        })
        .get();
    const int worker = pool.submit(pid_of_worker).get();
    std::vector<shared_array<int>> all;
    for (int i = 0; i < 100; ++i) all.emplace_back(1);
    try {
        static_cast<void>(pool.submit(count_all, all).get());
        FAIL() << "100 descriptors in a process that may have 40";
    } catch (const std::runtime_error& e) {
        EXPECT_NE(std::string{e.what()}.find("too many open files"), std::string::npos) << e.what();
    }
    EXPECT_EQ(pool.submit(count_all, std::vector<shared_array<int>>{all[0]}).get(), 0);
    EXPECT_EQ(pool.submit(pid_of_worker).get(), worker);
}

int die_once(const shared_array<int>& a) {
    if (plait::detail::this_worker().attempt < 3) die_by(SIGKILL);
    return a.at(0);
}

TEST(Handles, AreSentAgainWithARetryAndKeptNoLongerThanThat) {
    process_pool pool{{.workers = 1}};
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    const std::size_t before = open_descriptors();
    shared_array<int> a{1};
    a[0] = 17;
    EXPECT_EQ(pool.submit({.retries = 2}, die_once, a).get(), 17);
    EXPECT_THROW(pool.submit({.retries = 1}, die_once, a).get(), worker_lost);
    a = {};
    while (open_descriptors() > before) std::this_thread::yield(); // the last burial may be under way
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Handles, OfWithdrawnMovedAndCancelledTasksGoNowhere) {
    process_pool pool{{.workers = 2}};
    EXPECT_EQ(pool.submit(add, 1, 2).get(), 3);
    const std::size_t before = open_descriptors();
    {
        std::vector<plait::future<int>> all;
        for (int i = 0; i < 300; ++i) {
            shared_array<int> a{1};
            a[0] = i;
            auto f = pool.submit(
                [](shared_array<int> b) {
                    if (b.at(0) % 50 == 49) die_by(SIGKILL);
                    return b.at(0);
                },
                a);
            if (i % 3 == 0) f.cancel(); // which may come too late
            all.push_back(std::move(f));
        }
        int lost = 0;
        int dropped = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            try {
                EXPECT_EQ(all[i].get(), static_cast<int>(i));
                EXPECT_NE(i % 50, 49U);
            } catch (const worker_lost&) {
                ++lost;
            } catch (const plait::cancelled&) {
                ++dropped;
            }
        }
        EXPECT_GT(lost, 0);
        EXPECT_GT(dropped, 0);
    }
    while (open_descriptors() > before) std::this_thread::yield();
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Handles, AMovedOneIsTheTasksAlone) {
    process_pool pool{{.workers = 1}};
    shared_array<int> a{5};
    fill(a, 1);
    auto f = pool.submit([](shared_array<int> b) { return b[4]; }, std::move(a));
    EXPECT_TRUE(a.empty()); // NOLINT: what is tested
    EXPECT_EQ(f.get(), 5);
    std::vector<shared_array<int>> several(2, shared_array<int>{1});
    EXPECT_EQ(pool.submit(count_all, std::move(several)).get(), 0);
    EXPECT_TRUE(several.empty()); // NOLINT: as with executors of this process
}

TEST(Handles, TravelInMapsAndInitializersAndExceptionsLeaveNothingBehind) {
    static shared_array<int> of_worker;
    shared_array<int> table{4};
    fill(table, 10);
    process_pool pool{{.workers = 2, .initializer = {[](shared_array<int> t) { of_worker = t; }, table}}};
    std::vector<shared_array<int>> items;
    for (int i = 0; i < 20; ++i) {
        items.emplace_back(1);
        items.back()[0] = i;
    }
    int expected = 0;
    for (const int x : pool.map([](const shared_array<int>& a) { return a.at(0) + of_worker.at(1); }, items))
        EXPECT_EQ(x, 11 + expected++);
    EXPECT_EQ(expected, 20);
    EXPECT_THROW(pool.submit([](shared_array<int> a)
                                 -> shared_array<int> { throw std::runtime_error{std::to_string(a.size())}; },
                             table)
                     .get(),
                 std::runtime_error);
    EXPECT_TRUE(pool.submit(echo<shared_array<int>>, table).get().same_as(table));
}

class refusal : public std::runtime_error {
  public:
    explicit refusal(shared_array<int> a = {}) : std::runtime_error{"refused"}, given{std::move(a)} {}
    template <class Archive>
    void serialize(Archive& archive) {
        archive(given);
    }
    shared_array<int> given;
};

TEST(Handles, TravelInARegisteredException) {
    plait::register_exception<refusal>();
    process_pool pool{{.workers = 1}};
    shared_array<int> a{3};
    for (int i = 0; i < 3; ++i) {
        try {
            static_cast<void>(
                pool.submit([](shared_array<int> x) -> shared_array<int> { throw refusal{x}; }, a).get());
            FAIL();
        } catch (const refusal& e) {
            EXPECT_TRUE(e.given.same_as(a));
        }
    }
}

plait::task<shared_array<int>> fill_later(shared_array<int> a, int i) {
    co_await plait::sleep_for(std::chrono::milliseconds{i * 7 % 11});
    if (i % 20 == 13) throw refusal{a};
    a.at(0) = i;
    co_return a;
}

TEST(Handles, OfTasksOnAWorkersLoopComeBackInWhateverOrderTheyEnd) {
    plait::register_exception<refusal>();
    process_pool pool{{.workers = 2, .loop = true}};
    std::vector<shared_array<int>> arrays;
    std::vector<plait::future<shared_array<int>>> all;
    for (int i = 0; i < 400; ++i) {
        arrays.emplace_back(1);
        all.push_back(pool.submit(fill_later, arrays.back(), i));
    }
    for (int i = 0; i < 400; ++i) {
        const auto at = static_cast<std::size_t>(i);
        try {
            EXPECT_TRUE(all[at].get().same_as(arrays[at]));
            EXPECT_EQ(arrays[at][0], i);
        } catch (const refusal& e) {
            EXPECT_EQ(i % 20, 13);
            EXPECT_TRUE(e.given.same_as(arrays[at]));
        }
    }
}

TEST(Handles, ATaskWhoseWorkerLostItsChannelMovesToAnother) {
    process_pool pool{{.workers = 1}};
    shared_array<int> a{1};
    for (int round = 0; round < 10; ++round) {
        auto rude = pool.submit([] { ::closefrom(3); });
        auto next = pool.submit(count_all, std::vector<shared_array<int>>{a});
        EXPECT_EQ(next.get(), 0);
        try {
            rude.get();
        } catch (const worker_lost&) {} // it may cost itself
    }
}

} // namespace
