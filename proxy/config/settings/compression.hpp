// Settings of gzip, brotli and gunzip (nginx's gzip and gunzip modules, Google's brotli module).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/config/mime_type_set.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// Words of gzip_proxied, as bits.
enum GzipProxied : std::uint32_t {
  gzip_proxied_off = 1u << 0,
  gzip_proxied_expired = 1u << 1,
  gzip_proxied_no_cache = 1u << 2,
  gzip_proxied_no_store = 1u << 3,
  gzip_proxied_private = 1u << 4,
  gzip_proxied_no_last_modified = 1u << 5,
  gzip_proxied_no_etag = 1u << 6,
  gzip_proxied_auth = 1u << 7,
  gzip_proxied_any = 1u << 8,
};

struct CompressionSettings {
  bool gzip = false;
  bool gzip_vary = false;
  bool gunzip = false;
  int gzip_comp_level = 1;
  ByteCount gzip_min_length = 20;
  int gzip_http_version = 11;
  std::uint32_t gzip_proxied = gzip_proxied_off;
  bool gzip_disable_msie6 = false;
  std::vector<std::shared_ptr<const Regex>> gzip_disable;
  MimeTypeSet gzip_types{false, {"text/html"}};
  bool brotli = false;
  int brotli_comp_level = 6;
  int brotli_window = 19;  ///< base-2 logarithm of its bytes
  ByteCount brotli_min_length = 20;
  MimeTypeSet brotli_types{false, {"text/html"}};
};

template <>
struct GroupOf<CompressionSettings> {
  static constexpr auto member = &LocationSettings::compression;
};

}  // namespace gatehouse::config
