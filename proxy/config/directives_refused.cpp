// Rows of directives that nginx knows and this version does not run: each is one clear error, none is ignored.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr Directive missing(std::string_view name, std::uint32_t contexts) {
  return {
      name, contexts, {0, Arity::kAny, false}, {}, "nginx has this directive; a later version will", Support::missing};
}

constexpr Directive refused(std::string_view name, std::uint32_t contexts, std::string_view instead) {
  return {name, contexts, {0, Arity::kAny, false}, {}, instead, Support::unsupported};
}

constexpr Directive unused_path(std::string_view name) {
  return {name,
          kHttpServerLocation,
          {1, 4, false},
          {[](const Use&) {}, nullptr, "PATH [LEVEL ...]"},
          "Accepted: nothing is stored there, for lack of the protocol.",
          Support::tuning};
}

const Directive kRows[] = {
    // Settings that proxies carry along from a packaged nginx.conf; without a fastcgi_pass they mean nothing.
    unused_path("fastcgi_temp_path"),
    unused_path("uwsgi_temp_path"),
    unused_path("scgi_temp_path"),
    missing("grpc_pass", kLocation),
    missing("ntlm", kUpstream),
    missing("queue", kUpstream),
    missing("state", kUpstream),
    refused("proxy_ssl_key_log", kHsl, "session keys are never written to files"),
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

// Whole families of directives, by how their names begin. The longest prefix that fits speaks.
struct Family {
  std::string_view prefix;
  std::string_view instead;
};
constexpr std::string_view kFastcgi =
    "put the application behind an HTTP server (php-fpm: nginx or Apache on a local port) and use proxy_pass";
constexpr std::string_view kLua = "Lua is not supported; move the logic to the application";
constexpr std::string_view kNjs = "njs is not supported; move the logic to the application";
constexpr std::string_view kPerl = "embedded Perl is not supported; move the logic to the application";
constexpr std::string_view kSsi = "server-side includes belong to the application or its own web server";
constexpr std::string_view kDav = "WebDAV belongs to the application's own web server; proxy to it";
constexpr std::string_view kMedia = "media filters belong to the application's own web server; proxy to it";
constexpr std::string_view kImages = "image filters belong to the application; proxy to it";
constexpr std::string_view kXslt = "XSLT belongs to the application; proxy to it";
constexpr std::string_view kMail = "Gatehouse carries no mail protocols; keep nginx or another proxy for these ports";
constexpr std::string_view kGeoip = "GeoIP databases are not supported; list the networks with geo";
constexpr std::string_view kMore =
    "of headers-more there are more_set_headers and more_clear_headers; for a request's fields use proxy_set_header";
constexpr std::string_view kMetrics = "this module's figures are not supported; see admin_listen and stub_status";
constexpr std::string_view kThirdParty =
    "this third-party module is not supported; remove its directives or serve this "
    "place with nginx behind proxy_pass";
constexpr std::string_view kCommercial = "a directive of nginx's commercial version";
constexpr std::string_view kNaxsi = "naxsi rules are not supported; use modsecurity on with the Core Rule Set";

constexpr auto kFamilies = std::to_array<Family>({
    {"fastcgi_", kFastcgi},
    {"uwsgi_", "let uWSGI speak HTTP (http-socket = 127.0.0.1:PORT) and use proxy_pass"},
    {"scgi_", "put an HTTP server before the application and use proxy_pass"},
    {"memcached_", "put an HTTP server before memcached and use proxy_pass"},
    {"grpc_", "HTTP/2 towards upstreams is not supported yet"},
    {"perl", kPerl},
    {"js_", kNjs},
    {"lua_", kLua},
    {"ssi_", kSsi},
    {"dav_", kDav},
    {"create_full_put_path", kDav},
    {"min_delete_depth", kDav},
    {"image_filter", kImages},
    {"xslt_", kXslt},
    {"xml_entities", kXslt},
    {"mp4_", kMedia},
    {"flv", kMedia},
    {"hls", kMedia},
    {"f4f", kMedia},
    {"rtmp", kMedia},
    {"vod_", kMedia},
    {"imap_", kMail},
    {"pop3_", kMail},
    {"smtp_", kMail},
    {"auth_http", kMail},
    {"geoip_", kGeoip},
    {"geoip2", kGeoip},
    {"more_", kMore},
    {"vhost_traffic_status", kMetrics},
    {"status_zone", kCommercial},
    {"health_check", kCommercial},
    {"auth_jwt", kCommercial},
    {"auth_oidc", kCommercial},
    {"auth_require", kCommercial},
    {"keyval", kCommercial},
    {"session_log", kCommercial},
    {"zone_sync", kCommercial},
    {"license_token", kCommercial},
    {"mgmt", kCommercial},
    {"otel_", kMetrics},
    {"opentracing", kMetrics},
    {"pagespeed", kThirdParty},
    {"passenger", kThirdParty},
    {"echo", kThirdParty},
    {"set_misc", kThirdParty},
    {"srcache_", kThirdParty},
    {"redis", kThirdParty},
    {"nchan_", kThirdParty},
    {"push_stream", kThirdParty},
    {"upload_", kThirdParty},
    {"fancyindex", kThirdParty},
    {"auth_pam", kThirdParty},
    {"auth_ldap", kThirdParty},
    {"ldap_server", kThirdParty},
    {"auth_digest", kThirdParty},
    {"proxy_connect_", "forward proxying (CONNECT) is not supported"},
    {"naxsi", kNaxsi},
    {"SecRulesEnabled", kNaxsi},
    {"SecRulesDisabled", kNaxsi},
    {"LearningMode", kNaxsi},
    {"CheckRule", kNaxsi},
    {"MainRule", kNaxsi},
    {"BasicRule", kNaxsi},
});

constexpr bool is_lua(std::string_view name) {
  return name.ends_with("_by_lua") || name.ends_with("_by_lua_block") || name.ends_with("_by_lua_file");
}

}  // namespace

std::span<const Directive> refused_directives() { return kRows; }

std::string_view refused_family(std::string_view name) {
  if (is_lua(name)) return kLua;
  const Family* found = nullptr;
  for (const auto& family : kFamilies) {
    if (!name.starts_with(family.prefix)) continue;
    if (found == nullptr || family.prefix.size() > found->prefix.size()) found = &family;
  }
  return found == nullptr ? std::string_view{} : found->instead;
}

}  // namespace gatehouse::config
