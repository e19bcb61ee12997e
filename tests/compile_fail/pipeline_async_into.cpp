// SPDX-License-Identifier: Apache-2.0
// clang-format off
// error: plait: this pipeline's producer has to be awaited: co_await ... .into_async(consumer)
// clang-format on
#include <plait/generator.hpp>
#include <plait/pipeline.hpp>

void use(plait::async_generator<int> numbers) {
#ifdef REFUSED
    plait::pipeline(std::move(numbers)).into([](int) {});
#else
    (void)plait::pipeline(std::move(numbers)).into_async([](int) {});
#endif
}
