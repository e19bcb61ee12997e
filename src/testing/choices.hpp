// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace plait::testing::model {

using thread_set = std::uint32_t; // a bit for each thread

/// One place in a run at which it could have gone on otherwise.
struct choice {
    bool of_thread;       // which thread takes a step, or which value it finds
    std::uint8_t chosen;  // the thread; or how many of the newest values are passed over
    std::uint8_t values;  // how many there are, if it is of values
    thread_set remaining; // threads that have yet to be tried here
    thread_set asleep;    // threads whose turn here would only lead to what has been seen elsewhere
};

/// The runs of an exploration, one after the other: a depth-first walk over all choices. Stateless: a run is made again
/// from its beginning along the choices that are kept here.
class choices {
  public:
    std::vector<choice> path;
    std::size_t depth = 0; // of the present run: choices before it are given

    void begin() noexcept { depth = 0; }
    bool given() const noexcept { return depth < path.size(); }

    /// The next run. False: there is none any more.
    bool next() {
        while (!path.empty()) {
            choice& last = path.back();
            if (last.of_thread && last.remaining != 0) {
                last.asleep |= thread_set{1} << last.chosen;
                last.chosen = static_cast<std::uint8_t>(std::countr_zero(last.remaining));
                last.remaining &= last.remaining - 1;
                return true;
            }
            if (!last.of_thread && last.chosen + 1 < last.values) {
                ++last.chosen;
                return true;
            }
            path.pop_back();
        }
        return false;
    }

    std::uint64_t hash() const noexcept {
        std::uint64_t h = 14695981039346656037ULL; // FNV-1a
        for (const choice& c : path) h = (h ^ (c.chosen * 2ULL + (c.of_thread ? 1 : 0))) * 1099511628211ULL;
        return h;
    }

    /// The first `end` choices, for text: `thread(which, times)` for each that is chosen so many times in a row,
    /// `value(which)` for the others. Allocates nothing.
    template <class Thread, class Value>
    void describe(std::size_t end, Thread thread, Value value) const {
        for (std::size_t i = 0; i < end;) {
            const choice& c = path[i];
            std::size_t n = 1;
            while (c.of_thread && i + n < end && path[i + n].of_thread && path[i + n].chosen == c.chosen) ++n;
            if (c.of_thread)
                thread(static_cast<char>('a' + c.chosen), n);
            else
                value(c.chosen);
            i += n;
        }
    }

    /// The run as text, "a5b2~1a": five times the first thread, twice the second, which then finds the value before the
    /// newest, ... Throws invalid_argument for what is none.
    std::string text() const;
    static choices from(const std::string& text);
};

} // namespace plait::testing::model
