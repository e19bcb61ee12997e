// SPDX-License-Identifier: Apache-2.0
#include "http/address.hpp"

#include <gtest/gtest.h>

using plait::http::detail::address_kind;
using plait::http::detail::kind_of;
using plait::http::detail::may_connect;

TEST(Address, PrivateOnesInAllTheirForms) {
    for (const char* text : {"0.0.0.0",
                             "10.1.2.3",
                             "100.64.0.1",
                             "100.127.255.255",
                             "127.0.0.1",
                             "127.255.255.255",
                             "169.254.1.1",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.168.1.1",
                             "224.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "[::1]",
                             "fc00::1",
                             "fdff::1",
                             "fe80::1",
                             "fe80::1%eth0",
                             "fec0::1",
                             "ff02::1",
                             "::ffff:127.0.0.1",
                             "::ffff:10.0.0.1",
                             "::127.0.0.1",
                             "64:ff9b::7f00:1",
                             "2002:7f00:1::",
                             "2002:c0a8:101::1"})
        EXPECT_EQ(kind_of(text), address_kind::private_net) << text;
}

TEST(Address, PublicOnesBesideThem) {
    for (const char* text :
         {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
          "128.0.0.1", "169.253.1.1", "172.15.255.255", "172.32.0.0", "192.167.1.1", "192.169.0.1",
          "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "fb00::1"})
        EXPECT_EQ(kind_of(text), address_kind::public_net) << text;
}

TEST(Address, MetadataServices) {
    for (const char* text :
         {"169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"})
        EXPECT_EQ(kind_of(text), address_kind::metadata) << text;
    EXPECT_EQ(kind_of("example.org"), address_kind::unknown);
    EXPECT_EQ(kind_of(std::string_view{"1.1.1.1 and more than any address is long, much longer"}),
              address_kind::unknown);
}

TEST(Address, ARedirectNeverLeadsInside) {
    EXPECT_TRUE(may_connect(address_kind::private_net, false, false));
    EXPECT_TRUE(may_connect(address_kind::metadata, false, true));
    EXPECT_TRUE(may_connect(address_kind::private_net, true, false));
    EXPECT_TRUE(may_connect(address_kind::public_net, true, true));
    EXPECT_FALSE(may_connect(address_kind::private_net, true, true));
    EXPECT_FALSE(may_connect(address_kind::metadata, true, true));
    EXPECT_FALSE(may_connect(address_kind::metadata, true, false));
    EXPECT_FALSE(may_connect(address_kind::unknown, true, true));
}
