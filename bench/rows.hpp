// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// What a peer is called, and its value; 0 if it is not there.
using peer = std::pair<std::string, double>;

/// Is this row to be measured? Yes if nothing is asked for by PLAIT_BENCH_ROW, or the row, one that stands beside it
/// as `row (...)`, or its bench.
inline bool wanted(std::string_view row, std::string_view its_bench) {
    const char* const asked = std::getenv("PLAIT_BENCH_ROW");
    const std::string_view only{asked ? asked : ""};
    return only.empty() || only == row || only == its_bench || only.starts_with(std::string{row} + " (");
}

enum class better { lower, higher };

struct row_options {
    better is = better::lower;
    double reach = 0; ///< The ratio to the best peer that we want; 0: none.
    int digits = 1;   ///< Behind the point.
};

/// A row as report.py reads it.
inline void print(const std::string& row, const char* unit, double plait, const std::vector<peer>& peers,
                  row_options options = {}) {
    std::printf(R"({"row": "%s", "unit": "%s", "plait": %.*f, "peers": {)", row.c_str(), unit, options.digits,
                plait);
    const char* before = "";
    for (const auto& [name, value] : peers) {
        std::printf(R"(%s"%s": )", before, name.c_str());
        value > 0 ? std::printf("%.*f", options.digits, value) : std::printf("null");
        before = ", ";
    }
    std::printf(R"(}, "better": "%s")", options.is == better::lower ? "lower" : "higher");
    if (options.reach > 0) std::printf(R"(, "reach": %.3g)", options.reach);
    std::printf("}\n");
    std::fflush(stdout);
}

} // namespace bench
