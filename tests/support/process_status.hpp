// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

/// What /proc says of a process.
struct process_status {
    char state = 'X'; // of one that is gone: as if it were dead
    int parent = 0;

    /// A zombie has ended, too; whether somebody reaps it is up to whoever inherited it (the launcher, under ctest).
    bool has_ended() const { return state == 'Z' || state == 'X'; }
};

inline process_status status_of(int pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return {};
    return {text[name_end + 2], std::atoi(text.c_str() + name_end + 4)};
}
