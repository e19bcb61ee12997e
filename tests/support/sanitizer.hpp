// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which sanitizer this test was built with, as constants: `if (sanitized)` is compiled either way.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif
#else
inline constexpr bool address_sanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif
#else
inline constexpr bool thread_sanitizer = false;
#endif

/// Why a test that takes every descriptor does not run under AddressSanitizer, which UBSan comes with.
inline constexpr const char* vptr_takes_a_descriptor =
    "UBSan's vptr check takes a descriptor, and calls every object invalid when there is none";

inline constexpr bool sanitized = address_sanitizer || thread_sanitizer;
