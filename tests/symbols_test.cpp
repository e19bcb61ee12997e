// SPDX-License-Identifier: Apache-2.0
// The reader of symbol tables: right for what runs here, and unharmed by what is no module.
#include <gtest/gtest.h>

#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "sys/symbols.hpp"

namespace symbols_test_names {
[[gnu::noinline]] int first_function(int x) { return x + 1; }
} // namespace symbols_test_names

namespace {

using plait::detail::find_symbols;

struct own_place {
    std::uint64_t place = 0;
    std::string file;
};
own_place place_of(const void* address) {
    Dl_info about{};
    if (::dladdr(address, &about) == 0) return {};
    return {reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(about.dli_fbase),
            about.dli_fname};
}

class temporary_file {
  public:
    explicit temporary_file(const std::string& content) {
        path_ = std::filesystem::temp_directory_path() / ("plait-symbols-" + std::to_string(::getpid()));
        std::ofstream{path_, std::ios::binary} << content;
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() { std::filesystem::remove(path_); }
    std::string path() const { return path_; }

  private:
    std::filesystem::path path_;
};

std::string whole(const std::string& path) {
    std::string content(std::filesystem::file_size(path), '\0');
    std::ifstream{path, std::ios::binary}.read(content.data(), static_cast<std::streamsize>(content.size()));
    return content;
}

TEST(Symbols, APlaceHasTheNameOfItsFunctionAndTheWayFromItsBegin) {
    const own_place at = place_of(reinterpret_cast<const void*>(&symbols_test_names::first_function));
    const std::uint64_t places[] = {at.place, at.place + 1, 0};
    const auto found = find_symbols("/proc/self/exe", {}, places);
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].function, "symbols_test_names::first_function(int)");
    EXPECT_EQ(found[0].offset, 0U);
    EXPECT_EQ(found[1].function, "symbols_test_names::first_function(int)");
    EXPECT_EQ(found[1].offset, 1U);
    EXPECT_EQ(found[2].function, "");
}

TEST(Symbols, AStrippedLibraryStillHasWhatItExports) {
    void* qsort = ::dlsym(RTLD_DEFAULT, "qsort_r");
    ASSERT_NE(qsort, nullptr);
    Dl_info about{};
    ASSERT_NE(::dladdr(qsort, &about), 0);
    if (std::string{about.dli_fname}.find("libc.so") == std::string::npos) GTEST_SKIP() << "a sanitizer's";
    const own_place at = place_of(qsort);
    const std::uint64_t places[] = {at.place + 1};
    EXPECT_EQ(find_symbols(at.file, {}, places)[0].function.substr(0, 7), "qsort_r");
}

TEST(Symbols, AnotherBuildGivesNoNames) {
    const own_place at = place_of(reinterpret_cast<const void*>(&symbols_test_names::first_function));
    const std::uint64_t places[] = {at.place};
    const std::byte other[20] = {};
    EXPECT_EQ(find_symbols("/proc/self/exe", other, places)[0].function, "");
}

TEST(Symbols, WhatIsNoModuleGivesNoNames) {
    const std::uint64_t places[] = {0x1000};
    for (const char* path :
         {"", "/", "/nowhere/at/all", "/dev/null", "/dev/zero", "/etc/passwd", "/proc/self/mem"})
        EXPECT_EQ(find_symbols(path, {}, places)[0].function, "") << path;
    const temporary_file magic{"\x7f"
                               "ELF"};
    EXPECT_EQ(find_symbols(magic.path(), {}, places)[0].function, "");
}

TEST(Symbols, ADamagedFileGivesSomethingOrNothingAndEnds) {
    const std::string good = whole(PLAIT_SHARED_FUNCTIONS);
    ASSERT_GT(good.size(), 1000U);
    const std::uint64_t places[] = {0x1000, 0x1100, 0x1200, ~std::uint64_t{0}};
    std::mt19937 random{11};
    for (int round = 0; round < 300; ++round) {
        std::string bad = good;
        // The header and the table of sections are where lengths and positions are.
        std::uint64_t sections = 0;
        std::memcpy(&sections, good.data() + 40, sizeof(sections));
        for (int i = 0; i < 8; ++i) {
            const std::size_t at =
                i % 2 == 0 ? random() % 64 : sections + random() % (good.size() - sections);
            bad[at] = static_cast<char>(random());
        }
        if (round % 3 == 0) bad.resize(random() % bad.size());
        const temporary_file file{bad};
        EXPECT_EQ(find_symbols(file.path(), {}, places).size(), 4U);
    }
}

} // namespace
