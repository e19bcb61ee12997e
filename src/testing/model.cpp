// SPDX-License-Identifier: Apache-2.0
// The steps that a test's threads take, as plait/detail/model.hpp declares them.
#include <plait/detail/model.hpp>

#include "testing/execution.hpp"

namespace plait::testing::model {

bits word::load(int order, const site& where) const noexcept {
    execution* const e = execution::here();
    return e ? e->load(*this, e->place_of(*this, place_, run_), order, where) : latest_;
}

void word::store(bits value, int order, const site& where) noexcept {
    if (execution* const e = execution::here())
        e->store_to(e->place_of(*this, place_, run_), value, order, where);
    latest_ = value;
}

bits word::modify(change what, bits operand, int order, const site& where) noexcept {
    execution* const e = execution::here();
    if (!e) { // nothing outside of an exploration shares it
        const bits old = latest_;
        latest_ = changed_by(what, old, operand) & mask_of(size());
        return old;
    }
    const bits old = e->modify(e->place_of(*this, place_, run_), what, operand, order, where);
    latest_ = place_->stores.back().value;
    return old;
}

bool word::compare_exchange(bits& expected, bits desired, int success, int failure,
                            const site& where) noexcept {
    execution* const e = execution::here();
    if (!e) {
        const bool same = latest_ == expected;
        (same ? latest_ : expected) = same ? desired : latest_;
        return same;
    }
    const bool done =
        e->compare_exchange(e->place_of(*this, place_, run_), expected, desired, success, failure, where);
    latest_ = place_->stores.back().value;
    return done;
}

void word::forget() noexcept {
    execution* const e = execution::here();
    if (e && run_ == e->id()) e->forget(*place_, {});
}

void fence(int order, const site& where) noexcept {
    if (execution* const e = execution::here()) e->fence(order, where);
}

void fence_everywhere(const site& where) noexcept {
    if (execution* const e = execution::here()) e->fence_everywhere(where);
}

} // namespace plait::testing::model
