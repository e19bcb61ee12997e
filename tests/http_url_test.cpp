// SPDX-License-Identifier: Apache-2.0
#include "http/url.hpp"

#include <gtest/gtest.h>

#include <clocale>

using plait::http::detail::header_fault;
using plait::http::detail::url;
using plait::http::detail::url_parser;
using plait::http::detail::without_userinfo;

namespace {

url good(std::string_view text) {
    url_parser parser;
    url out;
    EXPECT_TRUE(parser.parse(text, out)) << text << ": " << parser.fault();
    return out;
}

std::string bad(std::string_view text) {
    url_parser parser;
    url out;
    EXPECT_FALSE(parser.parse(text, out)) << text;
    return parser.fault();
}

} // namespace

TEST(Url, IsTakenApart) {
    const url u = good("HTTP://Example.ORG:8080/a/b%20c?x=1#part");
    EXPECT_EQ(u.scheme, "http");
    EXPECT_EQ(u.host, "example.org");
    EXPECT_EQ(u.port, 8080);
    EXPECT_EQ(u.path, "/a/b%20c");
    EXPECT_EQ(u.origin(), "http://example.org:8080");
    EXPECT_EQ(u.text.find('#'), std::string::npos);
}

TEST(Url, DefaultPortsBelongToTheOrigin) {
    EXPECT_EQ(good("https://h").origin(), "https://h:443");
    EXPECT_EQ(good("http://h/").origin(), good("http://h:80/x").origin());
    EXPECT_NE(good("http://h/").origin(), good("https://h/").origin());
}

TEST(Url, UserinfoIsKeptApart) {
    const url u = good("http://me:s%40cret@h:81/x?q");
    EXPECT_EQ(u.userinfo, "me:s%40cret");
    EXPECT_EQ(u.text, "http://h:81/x?q");
    EXPECT_EQ(u.request_text(), "http://me:s%40cret@h:81/x?q");
    EXPECT_EQ(without_userinfo("http://me:pw@h/x"), "http://h/x");
    EXPECT_EQ(without_userinfo("http://a@b:pw@h?x@y"), "http://h?x@y");
    EXPECT_EQ(without_userinfo("http://h/x@y"), "http://h/x@y");
}

// What the parser recognises by the URL before must be what libcurl says of it.
TEST(Url, SiblingsAreTakenApartAsIfTheyWereAlone) {
    const std::string pieces[] = {"/", ".", "..", "a", "B7", "-", "_", "~", "%41",      "%c3%b6", "?", "q=1",
                                  "#", ":", "@",  ";", "&",  "!", "'", "|", "\xc3\xb6", ":80",    "//"};
    const std::string bases[] = {"http://h",
                                 "http://H.example:8080",
                                 "https://127.0.0.1:443",
                                 "http://[::1]:81",
                                 "http://me:pw@h",
                                 "http://h?x",
                                 "http://h%41",
                                 "HTTP://h"};
    std::setlocale(LC_CTYPE, "C.UTF-8");
    std::uint32_t random = 1;
    const auto pick = [&random](std::size_t below) {
        random = random * 1664525U + 1013904223U;
        return (random >> 16U) % below;
    };
    for (const std::string& base : bases) {
        url_parser used;
        for (int round = 0; round < 3000; ++round) {
            std::string text = base + (pick(8) == 0 ? "" : "/");
            for (std::size_t i = pick(5); i > 0; --i) text += pieces[pick(std::size(pieces))];
            url_parser fresh;
            url expected;
            url got;
            ASSERT_EQ(fresh.parse(text, expected), used.parse(text, got)) << text;
            if (fresh.parse(text, expected)) {
                EXPECT_EQ(got.text, expected.text) << text;
                EXPECT_EQ(got.path, expected.path) << text;
                EXPECT_EQ(got.userinfo, expected.userinfo) << text;
                EXPECT_EQ(got.origin(), expected.origin()) << text;
            }
        }
    }
}

TEST(Url, OtherSchemesAreRefused) {
    for (const char* text : {"file:///etc/passwd", "ftp://h/x", "gopher://h:70/_x", "dict://h", "scp://h/x"})
        EXPECT_NE(bad(text).find("is not http or https"), std::string::npos) << text;
    for (const char* text : {"h/x", "//h/x", "http:h", "http:/h", "", "://h"})
        EXPECT_NE(bad(text).find("no scheme"), std::string::npos) << text;
}

TEST(Url, FaultsNameTheColumn) {
    EXPECT_EQ(bad("http://h/a b"), "a space at column 11");
    EXPECT_EQ(bad("http://h/\r\nX: y"), "a line break at column 10");
    EXPECT_EQ(bad(std::string_view("http://h/\0x", 11)), "a NUL byte at column 10");
    EXPECT_EQ(bad("http://h/\x1b"), "a control character at column 10");
    EXPECT_EQ(bad("http://h\\@x/"), "a backslash at column 9");
}

TEST(Url, HostsThatAreNoneAreRefused) {
    for (const char* text : {"http://", "http:///etc", "http://:80/", "http://h:99999/", "http://h:0/",
                             "http://[::1/", "http://a,b/", "http://user@/"})
        EXPECT_FALSE(bad(text).empty()) << text;
}

TEST(Url, NumbersThatMeanAnAddressBecomeThatAddress) {
    EXPECT_EQ(good("http://2130706433/").host, "127.0.0.1");
    EXPECT_EQ(good("http://0x7f.1/").host, "127.0.0.1");
    EXPECT_EQ(good("http://0177.0.0.1/").host, "127.0.0.1");
    EXPECT_EQ(good("http://[::1]:81/").host, "[::1]");
}

TEST(Url, ForeignLettersAreEncoded) {
    EXPECT_EQ(good("http://h/ü").path, "/%c3%bc");
    std::setlocale(LC_CTYPE, "C"); // libidn2 goes by the locale
    EXPECT_NE(bad("http://bücher.example/x").find("xn--"), std::string::npos);
    std::setlocale(LC_CTYPE, "C.UTF-8");
    EXPECT_EQ(good("http://bücher.example/x").host, "xn--bcher-kva.example");
    EXPECT_EQ(good("http://bücher.example/x").text, "http://xn--bcher-kva.example/x");
}

TEST(Header, LineBreaksAndNulAreRefused) {
    EXPECT_EQ(header_fault("A: b"), "");
    EXPECT_EQ(header_fault("A:"), "");
    EXPECT_EQ(header_fault("A;"), "");
    EXPECT_EQ(header_fault("A: b\r\nB: c"), "a line break at column 5");
    EXPECT_EQ(header_fault(std::string_view("A: \0", 4)), "a NUL byte at column 4");
    EXPECT_NE(header_fault("no colon"), "");
    EXPECT_NE(header_fault(": x"), "");
    EXPECT_NE(header_fault("a b: x"), "");
}
