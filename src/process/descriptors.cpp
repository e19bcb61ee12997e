// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/bytes.hpp>

#include "sys/errors.hpp"
#include "sys/unique_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>

namespace plait::detail {
namespace {

constexpr std::uint32_t none = ~std::uint32_t{0};

} // namespace

shared_descriptor::shared_descriptor(int owned) {
    unique_fd guard{owned};
    counted_ = new counted;
    counted_->fd = guard.release();
}

void shared_descriptor::close_last() noexcept {
    unique_fd{counted_->fd}.reset();
    delete counted_;
}

void put_descriptor(byte_writer& out, const shared_descriptor& descriptor) {
    if (!descriptor) {
        out.put(none);
        return;
    }
    if (out.descriptors == nullptr)
        throw std::logic_error{
            "plait: a handle (pipe, shared_array, ...) cannot be sent this way: only bytes "
            "travel here; pass it as an argument, a result or through a pipe"};
    std::vector<shared_descriptor>& all = out.descriptors->all;
    // Once for each descriptor, however often the value mentions it.
    const auto found = std::ranges::find(all, descriptor);
    out.put(static_cast<std::uint32_t>(found - all.begin()));
    if (found == all.end()) all.push_back(descriptor);
}

shared_descriptor take_descriptor(byte_reader& in) {
    const auto index = in.take<std::uint32_t>();
    if (index == none) return {};
    if (in.descriptors == nullptr || index >= in.descriptors->all.size())
        throw std::runtime_error{"plait: a serialised value mentions a handle that did not come with it; is "
                                 "load() the mirror image of save()?"};
    const shared_descriptor& found = in.descriptors->all[index];
    if (!found)
        throw_errno(EMFILE, "plait: a handle was sent here, but this process has too many open files; raise "
                            "ulimit -n or keep fewer handles");
    return found;
}

} // namespace plait::detail
