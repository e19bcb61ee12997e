// SPDX-License-Identifier: Apache-2.0
// error: plait: a channel's items must be objects that move without throwing, so that none is ever lost half way; send a std::unique_ptr to what does not
#include <plait/channel.hpp>

struct heavy {
    heavy() = default;
    heavy(heavy&&) noexcept(false) {}
};
#ifdef REFUSED
plait::channel<heavy> items{1};
#else
plait::channel<heavy*> items{1};
#endif
