// SPDX-License-Identifier: Apache-2.0
// Lines, words and bytes of files, or of stdin: what `wc` counts. Files are read ahead by `map`, one task
// each; then all workers count in one text at a time, each in some of its lines.
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

struct counts {
    std::size_t lines = 0;
    std::size_t words = 0;
    std::size_t bytes = 0;
    counts operator+(const counts& other) const {
        return {lines + other.lines, words + other.words, bytes + other.bytes};
    }
};

std::string read_all(std::istream& in) {
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

std::string read_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) throw std::runtime_error{path + ": cannot be opened"};
    return read_all(in);
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
        lines.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return lines;
}

counts count(std::string_view line) {
    counts result{line.ends_with('\n') ? 1U : 0U, 0, line.size()};
    bool inside = false;
    for (const char c : line) {
        const bool letter = c != ' ' && (c < '\t' || c > '\r');
        if (letter && !inside) ++result.words;
        inside = letter;
    }
    return result;
}

counts count_all(plait::thread_pool& pool, const std::string& text) {
    return plait::transform_reduce(pool, lines_of(text), counts{}, std::plus<>{}, count);
}

void print(const counts& c, std::string_view name) {
    std::cout << c.lines << ' ' << c.words << ' ' << c.bytes << (name.empty() ? "" : " ") << name << '\n';
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> files(argv + 1, argv + argc);
    plait::thread_pool pool;
    if (files.empty()) {
        print(count_all(pool, read_all(std::cin)), "");
        return 0;
    }
    counts total;
    auto name = files.begin();
    try {
        for (const std::string& text : pool.map(read_file, files, plait::map_options{.window = 4})) {
            const counts of_file = count_all(pool, text);
            print(of_file, *name++);
            total = total + of_file;
        }
    } catch (const std::exception& e) {
        std::cerr << "wordcount: " << e.what() << '\n';
        return 1;
    }
    if (files.size() > 1) print(total, "total");
}
