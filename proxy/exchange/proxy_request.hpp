// What is sent to an upstream: its URI by nginx's rule and its head by proxy_set_header.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/exchange/exchange.hpp"
#include "proxy/upstream/cluster_runtime.hpp"

namespace gatehouse::exchange {

/// Where a request goes.
struct ProxyTarget {
  std::shared_ptr<upstream::ClusterRuntime> cluster;
  bool tls = false;
  std::string_view uri;  ///< path and query to send
};

/// Finds the cluster and the URI of the exchange's proxy_pass; sets Exchange::proxy_host and proxy_port. Error: unresolved or bad_target
/// (as an internal failure) when a target with variables gives no usable URL.
[[nodiscard]] Result<ProxyTarget> find_target(Exchange& exchange);

/// How the body goes up.
struct UpstreamBodyPlan {
  enum class Kind : std::uint8_t { none, buffered, streamed } kind = Kind::none;
  std::optional<std::uint64_t> length;  ///< nothing: chunked
};

/// The head as bytes, appended to `out`. Returns whether it asks for an upgrade.
[[nodiscard]] bool write_upstream_head(Exchange& exchange, const ProxyTarget& target, const UpstreamBodyPlan& body,
                                       std::string& out);

}  // namespace gatehouse::exchange
