// SPDX-License-Identifier: Apache-2.0
// A shared library that a test loads at run time: functions of it run in workers, which have not loaded it
// (P24).

extern "C" {
[[gnu::visibility("default")]] int plait_test_shared_add(int a, int b) { return a + b; }
}
