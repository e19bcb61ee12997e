// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <plait/fetch.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plait::app {

/// Shows a run to a human on stderr: one line that is drawn again on a terminal, a plain line every ten
/// seconds elsewhere, nothing with --quiet; at the end counts by reason with five failures of each. Prints
/// the marks to stdout.
class fetch_progress final : public fetch::observer {
  public:
    explicit fetch_progress(const fetch_command& command);

    void ended(const fetch::item_end& item) override;
    void moved(const fetch::progress& so_far) override;
    void note(std::string_view text) override;
    void stopping(std::size_t in_flight) override;

    /// After the run.
    void finish(const fetch::summary& result);

  private:
    struct failures {
        std::uint64_t count = 0;
        std::vector<std::string> first;
    };
    void draw(const std::string& line);
    void erase();
    [[nodiscard]] double seconds_left(const fetch::progress& so_far) const;
    [[nodiscard]] std::string line_of(const fetch::progress& so_far) const;

    mark marks_;
    bool quiet_;
    bool terminal_;
    bool drawn_ = false;
    bool marked_ = false;
    double last_plain_ = 0;
    double last_seconds_ = 0;
    std::uint64_t last_bytes_ = 0;
    double rate_ = 0;
    std::map<std::string, failures, std::less<>> failed_;
};

/// "17 B", "1.4 KiB", "2.0 GiB".
[[nodiscard]] std::string size_text(double bytes);

} // namespace plait::app
