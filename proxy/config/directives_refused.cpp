// Rows of directives that nginx knows and this version does not run: each is one clear error, none is ignored.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kHs = kHttp | kServer;

constexpr Directive missing(std::string_view name, std::uint32_t contexts) {
  return {
      name, contexts, {0, Arity::kAny, false}, {}, "nginx has this directive; a later version will", Support::missing};
}

constexpr Directive refused(std::string_view name, std::uint32_t contexts, std::string_view instead) {
  return {name, contexts, {0, Arity::kAny, false}, {}, instead, Support::unsupported};
}

const Directive kRows[] = {
    missing("root", kHsl | kLocationIf),
    missing("expires", kHsl | kLocationIf),
    missing("gzip", kHsl | kLocationIf),
    missing("charset", kHsl | kLocationIf),
    missing("limit_rate", kHsl | kLocationIf),
    missing("limit_rate_after", kHsl | kLocationIf),
    missing("add_trailer", kHsl | kLocationIf),
    missing("index", kHsl),
    missing("add_header_inherit", kHsl),
    missing("autoindex", kHsl),
    missing("autoindex_exact_size", kHsl),
    missing("autoindex_format", kHsl),
    missing("autoindex_localtime", kHsl),
    missing("charset_types", kHsl),
    missing("override_charset", kHsl),
    missing("source_charset", kHsl),
    missing("etag", kHsl),
    missing("if_modified_since", kHsl),
    missing("max_ranges", kHsl),
    missing("proxy_set_body", kHsl),
    missing("proxy_bind", kHsl),
    missing("proxy_limit_rate", kHsl),
    missing("proxy_cookie_domain", kHsl),
    missing("proxy_cookie_flags", kHsl),
    missing("proxy_cookie_path", kHsl),
    missing("proxy_ignore_headers", kHsl),
    missing("proxy_force_ranges", kHsl),
    missing("proxy_store", kHsl),
    missing("proxy_store_access", kHsl),
    missing("proxy_pass_trailers", kHsl),
    missing("limit_req", kHsl),
    missing("limit_req_status", kHsl),
    missing("limit_req_log_level", kHsl),
    missing("limit_req_dry_run", kHsl),
    missing("limit_conn", kHsl),
    missing("limit_conn_status", kHsl),
    missing("limit_conn_log_level", kHsl),
    missing("limit_conn_dry_run", kHsl),
    missing("satisfy", kHsl),
    missing("auth_request", kHsl),
    missing("auth_request_set", kHsl),
    missing("auth_delay", kHsl),
    missing("mirror", kHsl),
    missing("mirror_request_body", kHsl),
    missing("gzip_types", kHsl),
    missing("gzip_vary", kHsl),
    missing("gzip_proxied", kHsl),
    missing("gzip_comp_level", kHsl),
    missing("gzip_min_length", kHsl),
    missing("gzip_buffers", kHsl),
    missing("gzip_http_version", kHsl),
    missing("gzip_disable", kHsl),
    missing("gzip_static", kHsl),
    missing("gzip_window", kHsl),
    missing("gzip_hash", kHsl),
    missing("gunzip", kHsl),
    missing("gunzip_buffers", kHsl),
    missing("brotli", kHsl),
    missing("brotli_comp_level", kHsl),
    missing("brotli_types", kHsl),
    missing("brotli_static", kHsl),
    missing("brotli_buffers", kHsl),
    missing("brotli_min_length", kHsl),
    missing("brotli_window", kHsl),
    missing("sub_filter", kHsl),
    missing("sub_filter_last_modified", kHsl),
    missing("sub_filter_once", kHsl),
    missing("sub_filter_types", kHsl),
    missing("addition_types", kHsl),
    missing("slice", kHsl),
    missing("early_hints", kHsl),
    missing("random_index", kHsl),
    missing("userid", kHsl),
    missing("userid_domain", kHsl),
    missing("userid_expires", kHsl),
    missing("userid_flags", kHsl),
    missing("userid_mark", kHsl),
    missing("userid_name", kHsl),
    missing("userid_p3p", kHsl),
    missing("userid_path", kHsl),
    missing("userid_service", kHsl),
    missing("secure_link", kHsl),
    missing("secure_link_md5", kHsl),
    missing("secure_link_secret", kHsl),
    missing("referer_hash_bucket_size", kHsl),
    missing("referer_hash_max_size", kHsl),
    missing("proxy_cache", kHsl),
    missing("proxy_cache_background_update", kHsl),
    missing("proxy_cache_bypass", kHsl),
    missing("proxy_cache_convert_head", kHsl),
    missing("proxy_cache_key", kHsl),
    missing("proxy_cache_lock", kHsl),
    missing("proxy_cache_lock_age", kHsl),
    missing("proxy_cache_lock_timeout", kHsl),
    missing("proxy_cache_max_range_offset", kHsl),
    missing("proxy_cache_methods", kHsl),
    missing("proxy_cache_min_uses", kHsl),
    missing("proxy_cache_purge", kHsl),
    missing("proxy_cache_revalidate", kHsl),
    missing("proxy_cache_use_stale", kHsl),
    missing("proxy_cache_valid", kHsl),
    missing("proxy_no_cache", kHsl),
    missing("disable_symlinks", kHsl),
    missing("auth_basic", kHsl | kLocationIf | kLimitExcept),
    missing("auth_basic_user_file", kHsl | kLocationIf | kLimitExcept),
    missing("alias", kLocation),
    missing("limit_except", kLocation),
    missing("empty_gif", kLocation),
    missing("grpc_pass", kLocation),
    missing("try_files", kServer | kLocation),
    missing("stub_status", kServer | kLocation),
    missing("rewrite_log", kHsl | kServerIf | kLocationIf),
    missing("uninitialized_variable_warn", kHsl | kServerIf | kLocationIf),
    missing("valid_referers", kServer | kLocation),
    missing("add_before_body", kLocation),
    missing("add_after_body", kLocation),
    missing("geo", kHttp),
    missing("split_clients", kHttp),
    missing("limit_req_zone", kHttp),
    missing("limit_conn_zone", kHttp),
    missing("proxy_cache_path", kHttp),
    missing("charset_map", kHttp),
    missing("least_time", kUpstream),
    missing("sticky", kUpstream),
    missing("ntlm", kUpstream),
    missing("queue", kUpstream),
    missing("state", kUpstream),
    missing("http3", kHs),
    missing("http3_hq", kHs),
    missing("http3_max_concurrent_streams", kHs),
    missing("http3_stream_buffer_size", kHs),
    missing("quic_gso", kHs),
    missing("quic_retry", kHs),
    missing("quic_host_key", kHs),
    missing("quic_active_connection_id_limit", kHs),
    missing("http2_max_concurrent_streams", kHs),
    missing("http2_body_preread_size", kHs),
    missing("http2_chunk_size", kHs),
    missing("http2_idle_timeout", kHs),
    missing("http2_max_concurrent_pushes", kHs),
    missing("http2_max_field_size", kHs),
    missing("http2_max_header_size", kHs),
    missing("http2_max_requests", kHs),
    missing("http2_push", kHs),
    missing("http2_push_preload", kHs),
    missing("http2_recv_buffer_size", kHs),
    missing("http2_recv_timeout", kHs),
    missing("ssl_ocsp", kHs),
    missing("ssl_ocsp_cache", kHs),
    missing("ssl_ocsp_responder", kHs),
    missing("ssl_certificate_cache", kHs),
    missing("ssl_ech_file", kHs),
    missing("ssl_certificate_compression", kHs),
    missing("stream", kMain),
    refused("mail", kMain, "Gatehouse carries no mail protocols; keep nginx or another proxy for these ports"),
    refused("fastcgi_pass", kLocation | kLocationIf,
            "put the application behind an HTTP server (php-fpm: nginx or Apache on a local port) and use proxy_pass"),
    refused("uwsgi_pass", kLocation | kLocationIf,
            "let uWSGI speak HTTP (http-socket = 127.0.0.1:PORT) and use proxy_pass"),
    refused("scgi_pass", kLocation | kLocationIf, "put an HTTP server before the application and use proxy_pass"),
    refused("memcached_pass", kLocation | kLocationIf, "put an HTTP server before memcached and use proxy_pass"),
    refused("perl_modules", kHttp, "embedded Perl is not supported; move the logic to the application"),
    refused("ssi", kHsl | kLocationIf, "server-side includes belong to the application or its own web server"),
    refused("dav_methods", kHsl, "WebDAV belongs to the application's own web server; proxy to it"),
    refused("image_filter", kLocation, "image filters belong to the application; proxy to it"),
    refused("mp4", kLocation, "media filters belong to the application's own web server; proxy to it"),
    refused("flv", kLocation, "media filters belong to the application's own web server; proxy to it"),
    refused("xslt_stylesheet", kLocation, "XSLT belongs to the application; proxy to it"),
};

// Whole families of directives, by how their names begin.
struct Family {
  std::string_view prefix;
  std::string_view instead;
};
constexpr std::array<Family, 13> kFamilies{{
    {"fastcgi_",
     "put the application behind an HTTP server (php-fpm: nginx or Apache on a local port) and use proxy_pass"},
    {"uwsgi_", "let uWSGI speak HTTP (http-socket = 127.0.0.1:PORT) and use proxy_pass"},
    {"scgi_", "put an HTTP server before the application and use proxy_pass"},
    {"memcached_", "put an HTTP server before memcached and use proxy_pass"},
    {"grpc_", "HTTP/2 towards upstreams is not supported yet"},
    {"perl", "embedded Perl is not supported; move the logic to the application"},
    {"js_", "njs is not supported; move the logic to the application"},
    {"lua_", "Lua is not supported; move the logic to the application"},
    {"ssi_", "server-side includes belong to the application or its own web server"},
    {"dav_", "WebDAV belongs to the application's own web server; proxy to it"},
    {"image_filter_", "image filters belong to the application; proxy to it"},
    {"xslt_", "XSLT belongs to the application; proxy to it"},
    {"mp4_", "media filters belong to the application's own web server; proxy to it"},
}};

}  // namespace

std::span<const Directive> refused_directives() { return kRows; }

std::string_view refused_family(std::string_view name) {
  if (name.ends_with("_by_lua") || name.ends_with("_by_lua_block") || name.ends_with("_by_lua_file")) {
    return "Lua is not supported; move the logic to the application";
  }
  for (const auto& family : kFamilies) {
    if (name.starts_with(family.prefix)) return family.instead;
  }
  return {};
}

}  // namespace gatehouse::config
