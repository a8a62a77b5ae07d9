// The TLS part of a generation: the configuration's `ssl_*` and `proxy_ssl_*` values as the TLS layer's settings and
// contexts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "certs/client_context.hpp"
#include "certs/server_connection.hpp"
#include "certs/server_context.hpp"
#include "proxy/config/model.hpp"
#include "proxy/route/server_names.hpp"

namespace gatehouse::exchange {

/// `ssl_*` of one server, as the TLS layer wants it.
[[nodiscard]] certs::ServerTlsSettings server_tls_settings(const config::ServerSettings& settings);
/// `proxy_ssl_*` of one location, as the TLS layer wants it.
[[nodiscard]] certs::ClientTlsSettings client_tls_settings(const config::ProxySsl& ssl);

/// Everything that makes two upstream TLS settings different, the contents of their files included: a text that is
/// equal for equal settings. Reads the files.
[[nodiscard]] std::string client_tls_key(const config::ProxySsl& ssl);

/// Chooses a listener's server by the name of the ClientHello. It owns what it needs, for connections outlive
/// generations.
[[nodiscard]] std::shared_ptr<const certs::SniSelector> make_sni_selector(
    std::shared_ptr<const config::Config> config, route::ServerNames names,
    std::vector<std::shared_ptr<const certs::ServerContext>> contexts);

}  // namespace gatehouse::exchange
