// SPDX-License-Identifier: Apache-2.0
#include "testing/story.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace plait::testing::model {

namespace {

constexpr std::size_t widest = 48;

std::string_view file_of(const site& where) {
    std::string_view file = where.file_name();
    if (const std::size_t slash = file.rfind('/'); slash != std::string_view::npos)
        file.remove_prefix(slash + 1);
    return file;
}

std::string place(const site& where) {
    if (where.line() == 0) return {};
    return std::string{file_of(where)} + ":" + std::to_string(where.line());
}

// At spaces, if there are any.
std::vector<std::string> folded(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    while (text.size() > width) {
        std::size_t at = text.rfind(' ', width);
        if (at == std::string_view::npos || at == 0) at = width;
        lines.emplace_back(text.substr(0, at));
        text.remove_prefix(at);
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    }
    lines.emplace_back(text);
    return lines;
}

} // namespace

std::string story(const std::string& name, const execution& run, std::uint64_t schedules_before,
                  const std::string& schedule, const std::string& failure) {
    const std::vector<std::string> names = run.names();
    std::vector<std::size_t> width;
    width.reserve(names.size());
    for (const std::string& n : names) width.push_back(std::min(n.size(), widest));
    for (const event& e : run.events) {
        std::size_t& w = width[static_cast<std::size_t>(e.thread)];
        w = std::max(w, std::min(e.text.size(), widest));
    }
    std::string text = name + ": " + failure;
    if (const std::string at = place(run.failed_at()); !at.empty()) text += " (" + at + ")";
    text += "\nThe schedule (number " + std::to_string(schedules_before + 1) + "):\n\n      ";
    const auto pad = [&text](std::string_view s, std::size_t to) {
        text += s;
        text.append(to > s.size() ? to - s.size() : 0, ' ');
    };
    for (std::size_t i = 0; i < names.size(); ++i) pad(names[i], width[i] + 2);
    text += "\n";
    std::size_t number = 0;
    for (const event& e : run.events) {
        const auto column = static_cast<std::size_t>(e.thread);
        std::size_t before = 0;
        std::size_t all = 0;
        for (std::size_t i = 0; i < width.size(); ++i) {
            before += i < column ? width[i] + 2 : 0;
            all += width[i] + 2;
        }
        ++number;
        bool first = true;
        for (const std::string& line : folded(e.text, width[column])) {
            const std::string label = first ? std::to_string(number) : std::string{};
            pad(std::string(label.size() < 4 ? 4 - label.size() : 0, ' ') + label, 6);
            text.append(before, ' ');
            const std::string at = first ? place(e.where) : std::string{};
            if (at.empty()) {
                text += line;
            } else {
                pad(line, all - before);
                text += at;
            }
            text += "\n";
            first = false;
        }
    }
    text += "\n" + failure + "\nTo run this schedule alone: .replay = \"" + schedule + "\"\n";
    return text;
}

} // namespace plait::testing::model
