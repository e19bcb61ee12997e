// SPDX-License-Identifier: Apache-2.0
// limit: 120
// Members that know their rank, over threads, loops and processes.
#include <gtest/gtest.h>

#include <plait/any_executor.hpp>
#include <plait/event_loop.hpp>
#include <plait/loop_pool.hpp>
#include <plait/serial.hpp>
#include <plait/team.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "support/process_tasks.hpp"
#include "support/sanitizer.hpp"

namespace {

using namespace process_tasks;
using namespace std::chrono_literals;
using plait::process_pool;
using plait::task;
using plait::team;
using plait::team_error;
using plait::team_member;

// ---- every operation, in both forms
// ------------------------------------------------------------------------------

std::string say(std::size_t n) { return "from " + std::to_string(n); }

task<int> talk(team_member& me, int extra) {
    const std::size_t n = me.size();
    const std::size_t next = (me.rank() + 1) % n;
    const std::size_t before = (me.rank() + n - 1) % n;
    int right = 0;
    co_await me.send(next, say(me.rank()), 7);
    const std::vector<int> three{1, 2, 3};
    co_await me.send(next, three, 8);
    const auto numbers = co_await me.receive<std::vector<int>>(before, 8); // out of turn
    right += numbers.size() == 3;
    const std::string words = co_await me.receive<std::string>(before, 7);
    right += words == say(before);
    const auto around = co_await me.sendrecv(next, me.rank(), before);
    right += around == before;
    co_await me.barrier();
    const int given = co_await me.broadcast(n - 1, static_cast<int>(me.rank()) * 10);
    right += given == static_cast<int>(n - 1) * 10;
    std::vector<std::string> parts;
    if (me.rank() == 0)
        for (std::size_t r = 0; r < n; ++r) parts.push_back(say(r));
    const std::string part = co_await me.scatter(0, parts);
    right += part == say(me.rank());
    const auto all = co_await me.gather(n - 1, me.rank());
    right += all.size() == (me.rank() == n - 1 ? n : 0);
    const auto everywhere = co_await me.all_gather(say(me.rank()));
    right += everywhere.size() == n && everywhere.back() == say(n - 1);
    const auto sum = co_await me.reduce(0, me.rank() + 1, std::plus<>{});
    right += me.rank() != 0 || sum == n * (n + 1) / 2;
    const auto text = co_await me.all_reduce(std::to_string(me.rank()), std::plus<>{}); // not commutative
    std::string expected;
    for (std::size_t r = 0; r < n; ++r) expected += std::to_string(r);
    right += text == expected;
    co_return right + extra;
}

int talk_blocking(team_member& me, int extra) {
    const std::size_t n = me.size();
    const std::size_t next = (me.rank() + 1) % n;
    const std::size_t before = (me.rank() + n - 1) % n;
    int right = 0;
    me.send_blocking(next, say(me.rank()), 7);
    me.send_blocking(next, std::vector<int>{1, 2, 3}, 8);
    right += me.receive_blocking<std::vector<int>>(before, 8).size() == 3;
    right += me.receive_blocking<std::string>(before, 7) == say(before);
    right += me.sendrecv_blocking(next, me.rank(), before) == before;
    me.barrier_blocking();
    right += me.broadcast_blocking(n - 1, static_cast<int>(me.rank()) * 10) == static_cast<int>(n - 1) * 10;
    std::vector<std::string> parts;
    if (me.rank() == 0)
        for (std::size_t r = 0; r < n; ++r) parts.push_back(say(r));
    right += me.scatter_blocking(0, parts) == say(me.rank());
    right += me.gather_blocking(n - 1, me.rank()).size() == (me.rank() == n - 1 ? n : 0);
    right += me.all_gather_blocking(say(me.rank())).back() == say(n - 1);
    const auto sum = me.reduce_blocking(0, me.rank() + 1, std::plus<>{});
    right += me.rank() != 0 || sum == n * (n + 1) / 2;
    std::string expected;
    for (std::size_t r = 0; r < n; ++r) expected += std::to_string(r);
    right += me.all_reduce_blocking(std::to_string(me.rank()), std::plus<>{}) == expected;
    return right + extra;
}

constexpr int all_right = 9;

TEST(Team, EveryOperationOverEveryExecutor) {
    plait::thread_pool threads{{.workers = 2}};
    plait::event_loop loop;
    plait::loop_pool loops{{.workers = 2}};
    process_pool processes{{.workers = 3}};
    process_pool looping{{.workers = 2, .loop = true}};
    for (const std::size_t n : {1U, 2U, 3U, 7U}) {
        const std::vector<int> expected(n, all_right + 5);
        EXPECT_EQ(team(looping, n, talk, 5), expected) << n;
        EXPECT_EQ(team(threads, n, talk, 5), expected);
        EXPECT_EQ(team(loop, n, talk, 5), expected);
        EXPECT_EQ(team(loops, n, talk, 5), expected);
        EXPECT_EQ(team(processes, n, talk, 5), expected) << n; // 7 members share 3 workers
    }
}

TEST(Team, PlainFunctionsBlock) {
    plait::thread_pool threads{{.workers = 4}};
    process_pool processes{{.workers = 4}};
    for (const std::size_t n : {1U, 2U, 4U}) {
        EXPECT_EQ(team(threads, n, talk_blocking, 0), std::vector<int>(n, all_right));
        EXPECT_EQ(team(processes, n, talk_blocking, 0), std::vector<int>(n, all_right));
    }
    EXPECT_THROW(team(threads, 5, talk_blocking, 0), std::invalid_argument);
    EXPECT_THROW(team(processes, 5, talk_blocking, 0), std::invalid_argument);
    EXPECT_THROW(team(threads, 0, talk_blocking, 0), std::invalid_argument);
    plait::event_loop loop;
    EXPECT_THROW(team(loop, 2, talk_blocking, 0), std::invalid_argument);
}

TEST(Team, SerialRunsOneMember) {
    plait::serial here;
    EXPECT_EQ(team(here, 1, talk, 0), std::vector<int>{all_right});
    EXPECT_EQ(team(here, 1, talk_blocking, 0), std::vector<int>{all_right});
    EXPECT_THROW(team(here, 2, talk, 0), std::invalid_argument);
}

TEST(Team, AnyExecutorIsAskedWhatItIs) {
    for (const char* name : {"threads", "loop", "loops", "processes"}) {
        auto ex = plait::any_executor::make(name, {.workers = 2});
        EXPECT_EQ(team(ex, 4, talk, 1), std::vector<int>(4, all_right + 1)) << name;
    }
    auto serial = plait::any_executor::make("serial");
    EXPECT_THROW(team(serial, 2, talk, 1), std::invalid_argument);
}

TEST(Team, AVoidMemberAndACapture) {
    plait::thread_pool threads{{.workers = 2}};
    std::atomic<int> count{0};
    team(threads, 5, [&](team_member& me) -> task<void> {
        co_await me.barrier();
        count += static_cast<int>(me.rank());
    });
    EXPECT_EQ(count, 10);
    process_pool processes{{.workers = 2}};
    team(processes, 2, [](team_member& me) { me.barrier_blocking(); });
}

// ---- messages that cross
// ------------------------------------------------------------------------------------------

task<std::size_t> all_to_all(team_member& me, std::size_t size) {
    // Everybody sends more than any buffer holds before anybody receives.
    for (std::size_t r = 0; r < me.size(); ++r)
        for (int i = 0; i < 8; ++i)
            co_await me.send(r, std::string(size, static_cast<char>('a' + me.rank())), i);
    std::size_t right = 0;
    for (std::size_t r = 0; r < me.size(); ++r)
        for (int i = 7; i >= 0; --i) {
            const std::string got = co_await me.receive<std::string>(r, i);
            right += got == std::string(size, static_cast<char>('a' + r));
        }
    co_return right;
}

TEST(Team, MembersThatAllSendFirstDoNotStall) {
    plait::event_loop loop;
    process_pool processes{{.workers = 4}};
    for (const std::size_t size : {10U, 60'000U, 300'000U}) {
        const std::vector<std::size_t> expected(4, 32);
        EXPECT_EQ(team(loop, 4, all_to_all, size), expected);
        EXPECT_EQ(team(processes, 4, all_to_all, size), expected);
    }
}

TEST(Team, ReceivesFromAnyone) {
    process_pool processes{{.workers = 3}};
    const auto sums = team(processes, 3, [](team_member& me) -> task<std::size_t> {
        std::size_t sum = 0;
        if (me.rank() != 0) {
            co_await me.send(0, me.rank() * 100);
        } else {
            for (int i = 0; i < 2; ++i) {
                auto got = co_await me.receive_any<std::size_t>();
                sum += got.item == got.rank * 100 ? got.item : 0;
            }
        }
        co_return sum;
    });
    EXPECT_EQ(sums, (std::vector<std::size_t>{300, 0, 0}));
}

// ---- the heat equation
// --------------------------------------------------------------------------------------------

constexpr std::size_t width = 48;
constexpr std::size_t height = 40;

double initial(std::size_t x, std::size_t y) {
    return std::sin(0.3 * static_cast<double>(x)) + 0.01 * static_cast<double>(y * y);
}

/// One member's rows after so many steps, and the sum of the last change, by rank.
struct strip {
    std::vector<double> rows;
    double change = 0;
};

std::size_t first_row(std::size_t rank, std::size_t n) { return rank * height / n; }

std::vector<double> cut_out(std::size_t rank, std::size_t n) {
    const std::size_t from = first_row(rank, n);
    const std::size_t to = first_row(rank + 1, n);
    std::vector<double> rows((to - from + 2) * width);
    for (std::size_t y = 0; y < to - from + 2; ++y)
        for (std::size_t x = 0; x < width; ++x) {
            const std::size_t row = from + y == 0 ? 0 : std::min(from + y - 1, height - 1);
            rows[y * width + x] = initial(x, row);
        }
    return rows;
}

double relax(std::vector<double>& u) {
    std::vector<double> next = u;
    double most = 0;
    const std::size_t count = u.size() / width;
    for (std::size_t y = 1; y + 1 < count; ++y)
        for (std::size_t x = 1; x + 1 < width; ++x) {
            const std::size_t i = y * width + x;
            next[i] = u[i] + 0.2 * (u[i - width] + u[i + width] + u[i - 1] + u[i + 1] - 4 * u[i]);
            most = std::max(most, std::abs(next[i] - u[i]));
        }
    u.swap(next);
    return most;
}

task<strip> solve(team_member& me, int steps) {
    strip mine;
    mine.rows = cut_out(me.rank(), me.size());
    for (int i = 0; i < steps; ++i) {
        co_await me.exchange_borders(std::span<double>{mine.rows}, width);
        const double most = relax(mine.rows);
        mine.change = co_await me.all_reduce(most, [](double a, double b) { return std::max(a, b); });
    }
    co_return mine;
}
strip solve_blocking(team_member& me, int steps) {
    strip mine;
    mine.rows = cut_out(me.rank(), me.size());
    for (int i = 0; i < steps; ++i) {
        me.exchange_borders_blocking(std::span<double>{mine.rows}, width);
        const double most = relax(mine.rows);
        mine.change = me.all_reduce_blocking(most, [](double a, double b) { return std::max(a, b); });
    }
    return mine;
}

std::vector<double> put_together(const std::vector<strip>& strips) {
    std::vector<double> grid;
    for (const strip& s : strips) grid.insert(grid.end(), s.rows.begin() + width, s.rows.end() - width);
    for (const strip& s : strips) grid.push_back(s.change);
    grid.resize(width * height + 1); // the change is everywhere the same
    return grid;
}

bool equal_to_the_last_bit(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

TEST(Team, AHeatSolverGivesTheSameBitsForOneToEightMembersEverywhere) {
    constexpr int steps = 60;
    plait::serial here;
    const std::vector<double> alone = put_together(team(here, 1, solve, steps));
    EXPECT_GT(alone.back(), 0);
    plait::thread_pool threads{{.workers = 3}};
    plait::thread_pool many{{.workers = 8}};
    plait::event_loop loop;
    plait::loop_pool loops{{.workers = 2}};
    process_pool processes{{.workers = 8}};
    process_pool few{{.workers = 2}};
    for (std::size_t n = 1; n <= 8; ++n) {
        SCOPED_TRACE(n);
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(threads, n, solve, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(many, n, solve_blocking, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(loop, n, solve, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(loops, n, solve, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(processes, n, solve, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(processes, n, solve_blocking, steps)), alone));
        EXPECT_TRUE(equal_to_the_last_bit(put_together(team(few, n, solve, steps)), alone));
    }
}

// ---- failures
// --------------------------------------------------------------------------------------------------------

enum class fate { throws, dies, leaves };

task<int> fail_at(team_member& me, std::size_t who, fate how) {
    co_await me.barrier();
    if (me.rank() == who) {
        if (how == fate::throws) throw std::domain_error{"out of heat"};
        if (how == fate::dies) die_by(SIGKILL);
        co_return 1;
    }
    // The others wait for it, in different ways.
    if (me.rank() % 3 == 0) co_await me.barrier();
    if (me.rank() % 3 == 1) static_cast<void>(co_await me.receive<int>(who));
    for (;;) co_await me.send(who, std::string(10'000, 'x'));
}
int fail_at_blocking(team_member& me, std::size_t who, fate how) {
    me.barrier_blocking();
    if (me.rank() == who) {
        if (how == fate::throws) throw std::domain_error{"out of heat"};
        if (how == fate::dies) die_by(SIGKILL);
        return 1;
    }
    if (me.rank() % 3 == 0) me.barrier_blocking();
    if (me.rank() % 3 == 1) static_cast<void>(me.receive_blocking<int>(who));
    for (;;) me.send_blocking(who, std::string(10'000, 'x'));
}

template <class Executor, class F>
void expect_blamed(Executor& ex, std::size_t n, F fn, std::size_t who, fate how) {
    try {
        static_cast<void>(team(ex, n, fn, who, how));
        FAIL() << "member " << who << " had failed";
    } catch (const team_error& e) {
        if (how == fate::leaves) return; // who finds out first is not said
        EXPECT_EQ(e.rank(), who) << e.what();
        EXPECT_NE(std::string{e.what()}.find("member " + std::to_string(who) + " of " + std::to_string(n)),
                  std::string::npos);
        try {
            std::rethrow_if_nested(e);
            ADD_FAILURE() << "no cause";
        } catch (const std::domain_error&) {
            EXPECT_EQ(how, fate::throws);
        } catch (const plait::worker_lost&) {
            EXPECT_EQ(how, fate::dies);
        }
    }
}

TEST(Team, AMemberThatFailsEndsTheTeamAndIsNamed) {
    plait::thread_pool threads{{.workers = 5}};
    plait::event_loop loop;
    process_pool processes{{.workers = 5}};
    process_pool few{{.workers = 2}};
    for (std::size_t who = 0; who < 5; ++who)
        for (const fate how : {fate::throws, fate::leaves}) {
            expect_blamed(threads, 5, fail_at, who, how);
            expect_blamed(threads, 5, fail_at_blocking, who, how);
            expect_blamed(loop, 5, fail_at, who, how);
            expect_blamed(processes, 5, fail_at, who, how);
            expect_blamed(processes, 5, fail_at_blocking, who, how);
            expect_blamed(few, 5, fail_at, who, how);
        }
}

TEST(Team, NobodyWaitsForTheDead) {
    process_pool processes{{.workers = 5}};
    for (std::size_t who = 0; who < 5; ++who) {
        expect_blamed(processes, 5, fail_at, who, fate::dies);
        expect_blamed(processes, 5, fail_at_blocking, who, fate::dies);
        EXPECT_EQ(team(processes, 5, talk, 0), std::vector<int>(5, all_right)); // the pool works on
    }
}

TEST(Team, ARetryOfThePoolDoesNotBeginAMemberAnew) {
    process_pool processes{{.workers = 2, .retries = 3}};
    expect_blamed(processes, 2, fail_at, 1, fate::dies);
}

TEST(Team, MisuseIsTold) {
    plait::event_loop loop;
    EXPECT_THROW(team(loop, 2, [](team_member& me) -> task<void> { co_await me.send(2, 1); }), team_error);
    try { // different collective operations
        team(loop, 2, [](team_member& me) -> task<void> {
            if (me.rank() == 0)
                co_await me.barrier();
            else
                static_cast<void>(co_await me.gather(0, 'x'));
        });
        FAIL();
    } catch (const team_error& e) {
        EXPECT_NE(std::string{e.what()}.find("different collective"), std::string::npos) << e.what();
    }
    try { // two operations at once
        team(loop, 1, [](team_member& me) -> task<void> {
            static_cast<void>(co_await plait::gather(me.receive<int>(0), me.receive<int>(0)));
        });
        FAIL();
    } catch (const team_error& e) {
        EXPECT_NE(std::string{e.what()}.find("team"), std::string::npos) << e.what();
    }
}

// ---- from coroutines
// ----------------------------------------------------------------------------------------------

TEST(Team, CanBeAwaited) {
    process_pool processes{{.workers = 2}};
    plait::thread_pool threads{{.workers = 2}};
    const auto body = [](process_pool& p, plait::thread_pool& t) -> task<std::size_t> {
        auto a = co_await plait::team_async(p, 2, talk, 0);
        auto b = co_await plait::team_async(t, 3, talk, 0);
        co_return a.size() + b.size();
    };
    EXPECT_EQ(plait::run(body(processes, threads)), 5U);
}

TEST(Team, ACancelledTeamIsToldAndWaitedFor) {
    process_pool processes{{.workers = 2}};
    const auto body = [](process_pool& p) -> task<bool> {
        bool timed_out = false;
        try {
            co_await plait::timeout(20ms, plait::team_async(p, 2, [](team_member& me) -> task<void> {
                                        for (;;) co_await me.barrier();
                                    }));
        } catch (const plait::timeout_error&) {
            timed_out = true;
        }
        co_return timed_out;
    };
    EXPECT_TRUE(plait::run(body(processes)));
    EXPECT_EQ(team(processes, 2, talk, 0), std::vector<int>(2, all_right));
}

TEST(Team, LeavesNoDescriptorsBehind) {
    const auto count = [] {
        std::size_t n = 0;
        for (const auto& e : std::filesystem::directory_iterator{"/proc/self/fd"}) n += !e.path().empty();
        return n;
    };
    process_pool processes{{.workers = 2}};
    EXPECT_EQ(team(processes, 2, talk, 0).size(), 2U);
    const std::size_t before = count();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(team(processes, 4, talk, 0).size(), 4U);
    EXPECT_EQ(count(), before);
}

} // namespace
