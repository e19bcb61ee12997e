// SPDX-License-Identifier: Apache-2.0
// Words and how often they stand in a text: lines -> words (threads) -> counted here. The producer reads only
// as far ahead as the window allows, so a text of any size goes through.
#include <plait/pipeline.hpp>
#include <plait/thread_pool.hpp>

#include <cctype>
#include <cstdio>
#include <istream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words{""};
    for (const char each : line) {
        const auto c = static_cast<unsigned char>(each);
        if (std::isalpha(c) != 0)
            words.back() += static_cast<char>(std::tolower(c));
        else if (!words.back().empty())
            words.emplace_back();
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

} // namespace

int main() {
    std::istringstream text{
        "Three strands, worked\ninto one: threads,\na loop, and processes.\nOne interface to\nthe three.\n"};
    std::map<std::string, int> often;
    plait::thread_pool pool;
    const auto next_line = [&text]() -> std::optional<std::string> {
        std::optional<std::string> line{std::in_place};
        if (!std::getline(text, *line)) line.reset();
        return line;
    };
    plait::pipeline(next_line)
        .via(pool, words_of, {.window = 16})
        .into([&often](const std::vector<std::string>& words) {
            for (const std::string& word : words) ++often[word];
        });
    for (const auto& [word, times] : often)
        if (times > 1) std::printf("%s %d\n", word.c_str(), times);
}
