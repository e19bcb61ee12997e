// SPDX-License-Identifier: Apache-2.0
#include "fetch/retry.hpp"

#include <algorithm>

namespace plait::fetch {

back_off::duration back_off::bound(unsigned failed) noexcept {
    if (failed > 16) return most;
    return std::min<duration>(most, base * (std::int64_t{1} << failed) / 2);
}

back_off::duration back_off::up_to(duration bound) {
    return duration(std::uniform_int_distribution<std::int64_t>(0, bound.count())(random_));
}

back_off::duration back_off::after(unsigned failed) { return up_to(bound(failed)); }

back_off::duration back_off::spread(std::chrono::seconds asked) {
    return asked + up_to(duration(asked) / 10);
}

} // namespace plait::fetch
