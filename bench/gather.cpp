// SPDX-License-Identifier: Apache-2.0
// rows: gather of 100 k warm, gather of 100 k first
//
// gather of 100,000 coroutines that yield once, against asyncio in the same run. Both are of one thread, so
// CPU time is taken: what else the machine does then matters less. Warm: the best of several rounds. First: a
// fresh process, whose memory has yet to come from the kernel; the middle one of several.
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

constexpr int children = 100'000;
constexpr int rounds = 7;

double cpu_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

plait::task<int> child(int i) {
    co_await plait::yield();
    co_return i;
}

plait::task<double> one_round() {
    const double begin = cpu_ns();
    std::vector<plait::task<int>> tasks;
    tasks.reserve(children);
    for (int i = 0; i < children; ++i) tasks.push_back(child(i));
    const std::vector<int> values = co_await plait::gather(std::move(tasks));
    if (values.back() != children - 1) std::abort();
    co_return (cpu_ns() - begin) / children;
}

struct pair {
    double first;
    double best;
};

pair measure() {
    plait::event_loop loop;
    pair result{loop.run(one_round()), 1e18};
    for (int i = 1; i < rounds; ++i) result.best = std::min(result.best, loop.run(one_round()));
    return result;
}

/// What a program that prints two numbers said; zeros if it cannot be run.
pair ask(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe{::popen(command.c_str(), "r"), &::pclose};
    pair result{};
    if (!pipe || std::fscanf(pipe.get(), "%lf %lf", &result.first, &result.best) != 2) return {};
    return result;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void print_row(const char* name, double plait, double asyncio, int reach) {
    std::printf(R"({"row": "%s", "unit": "ns", "plait": %.1f, "peers": {"asyncio": )", name, plait);
    asyncio > 0 ? std::printf("%.1f", asyncio) : std::printf("null");
    std::printf(R"(}, "better": "lower", "reach": %d})"
                "\n",
                reach);
}

} // namespace

int main(int argc, char**) {
    if (argc > 1) {
        const pair mine = measure();
        std::printf("%f %f\n", mine.first, mine.best);
        return 0;
    }
    const std::string script = std::string{PLAIT_BENCH_SOURCE} + "/rivals/asyncio_gather.py";
    const std::string python = "/usr/bin/python3 '" + script + "' " + std::to_string(children);
    std::string self(4096, '\0');
    self.resize(static_cast<std::size_t>(
        std::max<ssize_t>(::readlink("/proc/self/exe", self.data(), self.size()), 0)));

    std::vector<double> first;
    std::vector<double> first_asyncio;
    double best = 1e18;
    double best_asyncio = 1e18;
    for (int i = 0; i < 5; ++i) { // by turns: both see the same machine
        const pair mine = ask("'" + self + "' once");
        const pair theirs = ask(python + " 3");
        first.push_back(mine.first);
        first_asyncio.push_back(theirs.first);
        best = std::min(best, mine.best);
        best_asyncio = std::min(best_asyncio, theirs.best);
    }
    print_row("gather of 100 k warm", best, best_asyncio, 80);
    print_row("gather of 100 k first", median(first), median(first_asyncio), 12);
}
