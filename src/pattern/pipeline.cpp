// SPDX-License-Identifier: Apache-2.0
#include <plait/pipeline.hpp>

#include <stdexcept>

namespace plait::detail {

void throw_stage_window() {
    throw std::invalid_argument{"pipeline: a stage's window is 0; it must be at least 1"};
}

void throw_pipeline_on_own_loop() {
    throw std::logic_error{
        "pipeline: into() would block the loop that has to run its stages; co_await into_async() there"};
}

} // namespace plait::detail
