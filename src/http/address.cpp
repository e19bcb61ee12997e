// SPDX-License-Identifier: Apache-2.0
#include "http/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace plait::http::detail {
namespace {

struct range4 {
    std::uint32_t net;
    unsigned bits;
};

constexpr std::array<range4, 14> private4{{
    {0x00000000U, 8},  // this host
    {0x0a000000U, 8},  //
    {0x64400000U, 10}, // carriers' NAT
    {0x7f000000U, 8},  // loopback
    {0xa9fe0000U, 16}, // link
    {0xac100000U, 12}, //
    {0xc0000000U, 24}, // protocol assignments
    {0xc0000200U, 24}, // documentation, here and below
    {0xc0a80000U, 16}, //
    {0xc6120000U, 15}, // benchmarks
    {0xc6336400U, 24}, //
    {0xcb007100U, 24}, //
    {0xe0000000U, 4},  // multicast
    {0xf0000000U, 4},  // reserved, broadcast
}};

address_kind kind4(std::uint32_t address) noexcept {
    if (address == 0xa9fea9feU) return address_kind::metadata;
    for (const range4& range : private4)
        if ((address ^ range.net) >> (32 - range.bits) == 0) return address_kind::private_net;
    return address_kind::public_net;
}

std::uint32_t word(const unsigned char* bytes) noexcept {
    return (std::uint32_t{bytes[0]} << 24U) | (std::uint32_t{bytes[1]} << 16U) |
           (std::uint32_t{bytes[2]} << 8U) | bytes[3];
}

address_kind kind6(const unsigned char* a) noexcept {
    const std::uint32_t w0 = word(a);
    const std::uint32_t w1 = word(a + 4);
    const std::uint32_t w2 = word(a + 8);
    const std::uint32_t w3 = word(a + 12);
    if (w0 == 0xfd000ec2U && w1 == 0 && w2 == 0 && w3 == 0x254U) return address_kind::metadata;
    if (w0 == 0 && w1 == 0 && (w2 == 0xffffU || (w2 == 0 && w3 > 1))) return kind4(w3); // mapped; compatible
    if (w0 == 0 && w1 == 0 && w2 == 0) return address_kind::private_net;                // :: and ::1
    if (w0 == 0x0064ff9bU && w1 == 0 && w2 == 0) return kind4(w3);                      // NAT64
    if (w0 == 0x0064ff9bU && (w1 >> 16U) == 1) return address_kind::private_net;        // its local form
    if ((w0 >> 16U) == 0x2002U) return kind4((w0 << 16U) | (w1 >> 16U));                // 6to4
    if (w0 == 0x20010000U) return kind4(~w3);                                           // Teredo
    if (w0 == 0x20010db8U) return address_kind::private_net;                            // documentation
    if ((w0 >> 25U) == 0xfcU >> 1U) return address_kind::private_net;                   // fc00::/7
    if ((w0 >> 22U) == 0xfe80U >> 6U || (w0 >> 22U) == 0xfec0U >> 6U) return address_kind::private_net;
    if ((w0 >> 24U) == 0xffU) return address_kind::private_net; // multicast
    return address_kind::public_net;
}

} // namespace

address_kind kind_of(const sockaddr& address) noexcept {
    if (address.sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address, sizeof in);
        return kind4(ntohl(in.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &address, sizeof in);
        return kind6(in.sin6_addr.s6_addr);
    }
    return address_kind::unknown;
}

address_kind kind_of(std::string_view address) noexcept {
    if (address.size() >= 2 && address.front() == '[' && address.back() == ']')
        address = address.substr(1, address.size() - 2);
    address = address.substr(0, address.find('%')); // a zone
    char text[INET6_ADDRSTRLEN + 1] = {};
    if (address.size() >= sizeof text) return address_kind::unknown;
    std::memcpy(text, address.data(), address.size());
    in_addr four{};
    in6_addr six{};
    if (::inet_pton(AF_INET, text, &four) == 1) return kind4(ntohl(four.s_addr));
    if (::inet_pton(AF_INET6, text, &six) == 1) return kind6(six.s6_addr);
    return address_kind::unknown;
}

} // namespace plait::http::detail
