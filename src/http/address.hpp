// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

struct sockaddr;

namespace plait::http::detail {

/// What kind of place an address is, as far as a redirect is concerned.
enum class address_kind {
    public_net,
    private_net, // this host, this link, this site: 127/8, 10/8, fc00::/7, ... and whatever embeds such an
                 // address
    metadata,    // 169.254.169.254 and fd00:ec2::254: where clouds keep their keys
    unknown,     // neither IPv4 nor IPv6
};

[[nodiscard]] address_kind kind_of(const sockaddr& address) noexcept;
/// Of an address in text, with or without brackets; `unknown` for a name.
[[nodiscard]] address_kind kind_of(std::string_view address) noexcept;

/// Whether a request may go to such an address. What the user typed may be anything; a redirect may never
/// lead from a public address to a private one, and never to a metadata service.
[[nodiscard]] constexpr bool may_connect(address_kind to, bool redirected, bool from_public) noexcept {
    if (!redirected) return true;
    if (to == address_kind::metadata) return false;
    return !from_public || to == address_kind::public_net;
}

} // namespace plait::http::detail
