// SPDX-License-Identifier: Apache-2.0
// Owns the precompiled header that all tests share; never run.
int main() {}
