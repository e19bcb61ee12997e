// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <utility>

namespace work {

/// What Python's pool of threads does of the same.
struct python_pool {
    int workers = 2;
    int tasks = 20'000; ///< Each with a future.
    int trips = 500;    ///< To an idle pool.
};

/// Nanoseconds of a task, and of a trip; zeros, which the report shows as absent, without Python.
inline std::pair<double, double> measure_python(const python_pool& p) {
    const std::string command = std::string{"/usr/bin/python3 '"} + PLAIT_BENCH_SOURCE +
                                "/rivals/python_pool.py' " + std::to_string(p.workers) + " " +
                                std::to_string(p.tasks) + " " + std::to_string(p.trips);
    std::pair<double, double> result{0, 0};
    if (FILE* const out = ::popen(command.c_str(), "r")) {
        if (std::fscanf(out, "%lf %lf", &result.first, &result.second) != 2) result = {0, 0};
        ::pclose(out);
    }
    return result;
}

} // namespace work
