// Builtin variables as the running proxy would offer them, for tests of the loader.
#pragma once

#include <algorithm>
#include <array>

#include "proxy/config/value.hpp"

namespace gatehouse::config {

class FakeCatalog : public VariableCatalog {
 public:
  [[nodiscard]] std::optional<VariableRef> find(std::string_view name) const override {
    for (const std::string_view family : {"http_", "arg_", "cookie_", "sent_http_", "upstream_http_"}) {
      if (name.starts_with(family) && name.size() > family.size()) {
        return VariableRef{VariableRef::Kind::builtin, 100, std::string(name.substr(family.size()))};
      }
    }
    const auto found = std::ranges::find(kNames, name);
    if (found == kNames.end()) return std::nullopt;
    return VariableRef{VariableRef::Kind::builtin, static_cast<std::uint16_t>(found - kNames.begin()), {}};
  }
  [[nodiscard]] std::vector<std::string_view> names() const override { return {kNames.begin(), kNames.end()}; }

 private:
  static constexpr std::array<std::string_view, 24> kNames{"host",
                                                           "remote_addr",
                                                           "remote_user",
                                                           "time_local",
                                                           "request",
                                                           "status",
                                                           "uri",
                                                           "request_uri",
                                                           "scheme",
                                                           "proxy_host",
                                                           "body_bytes_sent",
                                                           "request_id",
                                                           "server_name",
                                                           "server_port",
                                                           "args",
                                                           "is_args",
                                                           "request_method",
                                                           "proxy_add_x_forwarded_for",
                                                           "binary_remote_addr",
                                                           "server_addr",
                                                           "request_time",
                                                           "ssl_client_verify",
                                                           "document_root",
                                                           "https"};
};

}  // namespace gatehouse::config
