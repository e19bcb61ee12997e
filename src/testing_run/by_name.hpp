// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::testing {

// Sanitizers have the C library's names themselves; then this component leaves them alone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIT_NAMES_ARE_TAKEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define PLAIT_NAMES_ARE_TAKEN 1
#endif
#endif

#ifdef PLAIT_NAMES_ARE_TAKEN
inline constexpr bool names_are_taken = true;
#else
inline constexpr bool names_are_taken = false;
#endif

} // namespace plait::testing
