#include "certs/context_settings.hpp"

#include <fmt/format.h>
#include <openssl/err.h>

#include "certs/error_queue.hpp"
#include "certs/pem.hpp"

namespace gatehouse::certs {

void apply_basics(SSL_CTX& context, Protocols protocols) {
  // OpenSSL's compile-time and openssl.cnf minimum must not overrule what the configuration says.
  SSL_CTX_set_min_proto_version(&context, 0);
  SSL_CTX_set_max_proto_version(&context, 0);
  // A fresh DH key each time needs no option any more: OpenSSL 3 always makes one.
  std::uint64_t options = SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                          SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF;
  if (!contains(protocols, Protocols::tls1_0)) options |= SSL_OP_NO_TLSv1;
  if (!contains(protocols, Protocols::tls1_1)) options |= SSL_OP_NO_TLSv1_1;
  if (!contains(protocols, Protocols::tls1_2)) options |= SSL_OP_NO_TLSv1_2;
  if (!contains(protocols, Protocols::tls1_3)) options |= SSL_OP_NO_TLSv1_3;
  SSL_CTX_clear_options(&context, SSL_OP_NO_SSL_MASK);
  SSL_CTX_set_options(&context, options);
  // An idle connection gives back its 32 kB of record buffers; chains come from the certificate file only.
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(&context, 1);
}

LoadStatus apply_ciphers(SSL_CTX& context, const std::string& ciphers) {
  if (SSL_CTX_set_cipher_list(&context, ciphers.c_str()) == 1) return std::nullopt;
  return LoadError{with_openssl_errors(fmt::format("SSL_CTX_set_cipher_list(\"{}\") failed", ciphers))};
}

LoadStatus apply_conf_commands(SSL_CTX& context, const std::vector<ConfCommand>& commands, unsigned side) {
  if (commands.empty()) return std::nullopt;
  const std::unique_ptr<SSL_CONF_CTX, FreeWith<SSL_CONF_CTX_free>> conf(SSL_CONF_CTX_new());
  SSL_CONF_CTX_set_flags(conf.get(), SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SHOW_ERRORS | SSL_CONF_FLAG_CERTIFICATE | side);
  SSL_CONF_CTX_set_ssl_ctx(conf.get(), &context);
  for (const ConfCommand& command : commands) {
    if (SSL_CONF_cmd(conf.get(), command.name.c_str(), command.value.c_str()) <= 0) {
      return LoadError{
          with_openssl_errors(fmt::format("SSL_CONF_cmd(\"{}\", \"{}\") failed", command.name, command.value))};
    }
  }
  if (SSL_CONF_CTX_finish(conf.get()) != 1) return LoadError{with_openssl_errors("SSL_CONF_finish() failed")};
  return std::nullopt;
}

LoadStatus add_certificate(SSL_CTX& context, const CertificatePair& pair, const std::vector<std::string>& passwords,
                           X509Ptr& leaf) {
  auto chain = load_chain(pair.certificate);
  if (!chain) return chain.error();
  const auto failed = [](const char* call, const std::string& path) {
    return LoadError{with_openssl_errors(fmt::format("{}(\"{}\") failed", call, path))};
  };
  if (SSL_CTX_use_certificate(&context, chain->front().get()) != 1) {
    return failed("SSL_CTX_use_certificate", pair.certificate.path);
  }
  // Each key type has its own slot; a second certificate of the same type would otherwise inherit the first one's
  // chain.
  SSL_CTX_clear_chain_certs(&context);
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(&context, (*chain)[i].get()) != 1) {
      return failed("SSL_CTX_add1_chain_cert", pair.certificate.path);
    }
  }
  const auto key = load_key(pair.key, passwords);
  if (!key) return key.error();
  // Checked first, because OpenSSL files a key of another type silently under that type.
  if (X509_check_private_key(chain->front().get(), key->get()) != 1 ||
      SSL_CTX_use_PrivateKey(&context, key->get()) != 1) {
    return failed("SSL_CTX_use_PrivateKey", pair.key.path);
  }
  leaf = std::move(chain->front());
  return std::nullopt;
}

LoadStatus trust(SSL_CTX& context, const PemSource& source, std::vector<X509Ptr>& authorities) {
  auto loaded = load_authorities(source);
  if (!loaded) return loaded.error();
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (X509Ptr& authority : *loaded) {
    if (X509_STORE_add_cert(store, authority.get()) != 1) {
      return LoadError{with_openssl_errors(fmt::format("X509_STORE_add_cert(\"{}\") failed", source.path))};
    }
    authorities.push_back(std::move(authority));
  }
  return std::nullopt;
}

LoadStatus revoke(SSL_CTX& context, const PemSource& source) {
  const auto lists = load_crls(source);
  if (!lists) return lists.error();
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (const X509CrlPtr& list : *lists) {
    if (X509_STORE_add_crl(store, list.get()) != 1) {
      return LoadError{with_openssl_errors(fmt::format("X509_STORE_add_crl(\"{}\") failed", source.path))};
    }
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return std::nullopt;
}

LoadResult<std::vector<unsigned char>> alpn_wire_format(std::span<const std::string> protocols) {
  std::vector<unsigned char> wire;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255)
      return LoadError{fmt::format("invalid ALPN protocol \"{}\"", protocol)};
    wire.push_back(static_cast<unsigned char>(protocol.size()));
    wire.insert(wire.end(), protocol.begin(), protocol.end());
  }
  return wire;
}

}  // namespace gatehouse::certs
