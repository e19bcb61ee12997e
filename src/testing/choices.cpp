// SPDX-License-Identifier: Apache-2.0
#include "testing/choices.hpp"

#include <cctype>
#include <stdexcept>

namespace plait::testing::model {

std::string choices::text() const {
    std::string result;
    describe(
        path.size(),
        [&result](char thread, std::size_t times) {
            result += thread;
            if (times > 1) result += std::to_string(times);
        },
        [&result](unsigned value) { result += '~' + std::to_string(value) + '.'; });
    return result;
}

choices choices::from(const std::string& text) {
    const auto wrong = [&](std::size_t at) {
        return std::invalid_argument{"testing::explore: .replay: '" + text +
                                     "' is no schedule (at character " + std::to_string(at + 1) +
                                     "); copy it whole from the report"};
    };
    choices result;
    std::size_t at = 0;
    const auto number = [&](std::size_t otherwise) {
        std::size_t n = 0;
        const std::size_t begin = at;
        while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) && n < 1'000'000)
            n = n * 10 + static_cast<std::size_t>(text[at++] - '0');
        return at == begin ? otherwise : n;
    };
    while (at < text.size()) {
        const std::size_t here = at;
        const char c = text[at++];
        if (c >= 'a' && c <= 'h') {
            const std::size_t n = number(1);
            if (n == 0 || n >= 1'000'000) throw wrong(here);
            for (std::size_t i = 0; i < n; ++i)
                result.path.push_back({true, static_cast<std::uint8_t>(c - 'a'), 0, 0, 0});
        } else if (c == '~') {
            const std::size_t n = number(256);
            if (n > 255 || at >= text.size() || text[at++] != '.') throw wrong(here);
            result.path.push_back({false, static_cast<std::uint8_t>(n), 0, 0, 0});
        } else {
            throw wrong(here);
        }
    }
    return result;
}

} // namespace plait::testing::model
