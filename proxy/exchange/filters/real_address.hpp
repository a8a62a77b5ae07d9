// The client's real address behind trusted proxies: set_real_ip_from, real_ip_header, real_ip_recursive.
#pragma once

#include <string_view>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/config/model.hpp"
#include "proxy/exchange/filters/filter.hpp"

namespace gatehouse::exchange {

/// Sets Exchange::client from the trusted header (ngx_http_realip_module).
[[nodiscard]] Step find_real_address(Exchange& exchange);

/// Whether an address lies in one of the networks; `all` and `unix:` as written. Pure.
[[nodiscard]] const config::NetworkRule* match_network(const std::vector<config::NetworkRule>& rules,
                                                       const SocketAddress& address) noexcept;

/// The address that a chain of proxies stands for: the last one of `list`, or with `recursive` the right-most that is not trusted.
/// Nothing if the last one can't be read. Pure.
[[nodiscard]] std::optional<SocketAddress> address_from_list(std::string_view list,
                                                             const std::vector<config::NetworkRule>& trusted,
                                                             bool recursive);

}  // namespace gatehouse::exchange
