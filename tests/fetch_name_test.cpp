// SPDX-License-Identifier: Apache-2.0
#include "fetch/name.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

using plait::fetch::longest_name;
using plait::fetch::name_from_list;
using plait::fetch::name_from_path;
using plait::fetch::name_table;

TEST(Name, IsTheLastSegmentDecodedOnce) {
    EXPECT_EQ(name_from_path("/a/b/report%20final.pdf"), "report final.pdf");
    EXPECT_EQ(name_from_path("/100%2541"), "100%41");
    EXPECT_EQ(name_from_path("/50%"), "50%");
    EXPECT_EQ(name_from_path("/50%4"), "50%4");
    EXPECT_EQ(name_from_path("/50%zz"), "50%zz");
}

TEST(Name, NothingLeavesTheDirectory) {
    EXPECT_EQ(name_from_path("/a/%2e%2e"), "index");
    EXPECT_EQ(name_from_path("/.."), "index");
    EXPECT_EQ(name_from_path("/."), "index");
    EXPECT_EQ(name_from_path("/"), "index");
    EXPECT_EQ(name_from_path(""), "index");
    EXPECT_EQ(name_from_path("/..%2F..%2Fetc%2Fpasswd"), "_..%2F..%2Fetc%2Fpasswd");
    EXPECT_EQ(name_from_path("/..%5Cx"), "_..%5Cx");
    EXPECT_EQ(name_from_list("../../etc/passwd"), "_..%2F..%2Fetc%2Fpasswd");
    EXPECT_EQ(name_from_list("/etc/passwd"), "%2Fetc%2Fpasswd");
    EXPECT_EQ(name_from_path("/a%00b"), "a%00b");
}

TEST(Name, WhatOtherSystemsRefuseIsEncoded) {
    EXPECT_EQ(name_from_list("a:b*c?d\"e<f>g|h\\i"), "a%3Ab%2Ac%3Fd%22e%3Cf%3Eg%7Ch%5Ci");
}

TEST(Name, ControlsDirectionMarksAndBrokenUtf8AreEncoded) {
    EXPECT_EQ(name_from_path("/con%1b%5b31m"), "con%1B[31m");
    EXPECT_EQ(name_from_path("/x%7f%c2%9b"), "x%7F%C2%9B");
    EXPECT_EQ(name_from_path("/gpj%e2%80%aeexe"), "gpj%E2%80%AEexe");
    EXPECT_EQ(name_from_path("/%ff%c0%af"), "%FF%C0%AF");
    EXPECT_EQ(name_from_path("/%c3%bc"), "ü");
}

TEST(Name, ALeadingDotOrDashIsDefused) {
    EXPECT_EQ(name_from_path("/.bashrc"), "_.bashrc");
    EXPECT_EQ(name_from_path("/-rf"), "_-rf");
    EXPECT_EQ(name_from_path("/..."), "_...");
}

TEST(Name, ALongOneIsCutWithAHashAndKeepsItsExtension) {
    const std::string name = name_from_path("/" + std::string(300, 'a') + ".tar");
    EXPECT_EQ(name.size(), longest_name);
    EXPECT_TRUE(name.ends_with(".tar"));
    EXPECT_EQ(name[name.size() - 4 - 9], '~');
    EXPECT_NE(name, name_from_path("/" + std::string(301, 'a') + ".tar"));
    EXPECT_EQ(name_from_path("/" + std::string(200, 'a')).size(), 200U);
    // never in the midst of a character or of an encoded one
    for (std::size_t n = 180; n < 200; ++n) {
        const std::string umlauts =
            name_from_path("/" + std::string(n, 'x') + "%c3%bc%c3%bc%c3%bc%c3%bc%c3%bc%c3%bc%c3%bc");
        EXPECT_LE(umlauts.size(), longest_name);
        EXPECT_EQ(umlauts.find("%C3"), std::string::npos);
        const std::string encoded = name_from_path("/" + std::string(n, 'x') + "%01%01%01%01%01%01%01%01%01");
        const std::size_t end = encoded.find('~');
        EXPECT_TRUE(end < n || (end - n) % 3 == 0) << encoded;
    }
}

TEST(Name, WhateverComesInTheNameIsOneSafeSegment) {
    std::mt19937 random{99};
    for (int round = 0; round < 5000; ++round) {
        std::string path = "/";
        const auto length = random() % 400;
        for (unsigned i = 0; i < length; ++i) path += static_cast<char>(random() & 0xffU);
        for (const std::string& name : {name_from_path(path), name_from_list(path)}) {
            ASSERT_FALSE(name.empty());
            ASSERT_LE(name.size(), longest_name);
            ASSERT_NE(name.front(), '.');
            ASSERT_NE(name.front(), '-');
            ASSERT_EQ(name.find_first_of(std::string_view("/\\\0\n\x1b", 5)), std::string::npos);
        }
    }
}

TEST(NameTable, NamesAreGivenOnceWhateverTheirCase) {
    name_table table;
    EXPECT_EQ(table.reserve("a.txt"), "a.txt");
    EXPECT_EQ(table.reserve("a.txt"), "a~2.txt");
    EXPECT_EQ(table.reserve("A.TXT"), "A~3.TXT");
    EXPECT_EQ(table.reserve("a.txt."), "a.txt~4.");
    EXPECT_EQ(table.reserve("Ärger"), "Ärger");
    EXPECT_EQ(table.reserve("ärger"), "ärger~2");
    EXPECT_EQ(table.reserve("a~2.txt"), "a~2~2.txt");
    EXPECT_EQ(table.reserve("b~2"), "b~2");
    EXPECT_EQ(table.reserve("b"), "b");
    EXPECT_EQ(table.reserve("b"), "b~3");
}

TEST(NameTable, AFullLengthNameStaysWithinTheLimit) {
    name_table table;
    const std::string name = std::string(196, 'a') + ".tar";
    EXPECT_EQ(table.reserve(name), name);
    const std::string second = table.reserve(name);
    EXPECT_EQ(second.size(), longest_name);
    EXPECT_TRUE(second.ends_with("~2.tar"));
    const std::string cut = name_from_path("/" + std::string(300, 'b') + ".tar");
    EXPECT_EQ(table.reserve(cut), cut);
    const std::string hash = cut.substr(cut.find('~'), 9);
    EXPECT_TRUE(table.reserve(cut).ends_with(hash + "~2.tar"));
}

TEST(NameTable, AHundredThousandTimesTheSameNameIsQuick) {
    name_table table;
    std::set<std::string> names;
    for (int i = 0; i < 100000; ++i) names.insert(table.reserve("index"));
    EXPECT_EQ(names.size(), 100000U);
    EXPECT_EQ(table.size(), 100000U);
}
