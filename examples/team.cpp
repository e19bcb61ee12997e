// SPDX-License-Identifier: Apache-2.0
// Heat spreads over a plate. A team cuts the plate into strips of rows, one a member; after each step
// neighbours exchange their borders. The same member runs over threads, one loop or processes, with the same
// result:
//
//     team [threads|loop|loops|processes] [MEMBERS] [STEPS]
#include <plait/any_executor.hpp>
#include <plait/team.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <vector>

namespace {

constexpr std::size_t width = 200;
constexpr std::size_t height = 120;

// Hot in the middle; the rank's rows, and one more above and below.
std::vector<double> strip_of(std::size_t rank, std::size_t members) {
    const std::size_t first = rank * height / members;
    const std::size_t last = (rank + 1) * height / members;
    std::vector<double> rows((last - first + 2) * width);
    for (std::size_t y = first; y < last; ++y)
        for (std::size_t x = 0; x < width; ++x)
            rows[(y - first + 1) * width + x] =
                std::hypot(static_cast<double>(x) - 100.0, static_cast<double>(y) - 60.0) < 30 ? 100 : 0;
    return rows;
}

void relax(std::vector<double>& u) {
    const std::vector<double> before = u;
    for (std::size_t i = width; i + width < u.size(); ++i)
        if (i % width != 0 && i % width != width - 1)
            u[i] +=
                0.2 * (before[i - width] + before[i + width] + before[i - 1] + before[i + 1] - 4 * before[i]);
}

plait::task<double> simulate(plait::team_member& me, int steps) {
    std::vector<double> rows = strip_of(me.rank(), me.size());
    for (int i = 0; i < steps; ++i) {
        co_await me.exchange_borders(std::span{rows}, width);
        relax(rows);
    }
    const auto own = std::span{rows}.subspan(width, rows.size() - 2 * width); // the borders are a step behind
    const double warmest = *std::ranges::max_element(own);
    co_return co_await me.all_reduce(warmest, [](double a, double b) { return std::max(a, b); });
}

} // namespace

int main(int argc, char** argv) {
    const plait::program program{argc, argv};
    const std::string kind = argc > 1 ? argv[1] : "processes";
    const std::size_t members = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 4;
    const int steps = argc > 3 ? std::atoi(argv[3]) : 200;
    try {
        auto executor = plait::any_executor::make(kind, {.workers = 2});
        const std::vector<double> warmest = plait::team(executor, members, simulate, steps);
        std::cout.precision(17);
        std::cout << members << " members over " << kind << ": warmest " << warmest.front() << '\n';
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}
