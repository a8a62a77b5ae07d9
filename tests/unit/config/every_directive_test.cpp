// Each directive of the table: what it takes is accepted wherever it may stand, what it doesn't take is refused with its name,
// and so is the directive itself anywhere else.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proxy/config/directive.hpp"
#include "proxy/config/loader.hpp"
#include "tests/unit/config/catalog.hpp"

namespace gatehouse::config {
namespace {

/// The configuration around a statement of one context; the statement stands at {}.
struct Surroundings {
  Context context;
  std::string_view text;
};
constexpr std::array kSurroundings = {
    Surroundings{kMain, "{} events {{ }} http {{ }}"},
    Surroundings{kEvents, "events {{ {} }} http {{ }}"},
    Surroundings{kHttp, "events {{ }} http {{ {} }}"},
    Surroundings{kServer, "events {{ }} http {{ server {{ {} }} }}"},
    Surroundings{kLocation, "events {{ }} http {{ server {{ location /l/ {{ {} }} }} }}"},
    Surroundings{kUpstream, "events {{ }} http {{ upstream u {{ {} server 127.0.0.1:1; }} }}"},
    Surroundings{kServerIf, "events {{ }} http {{ server {{ if ($host) {{ {} }} }} }}"},
    Surroundings{kLocationIf, "events {{ }} http {{ server {{ location / {{ if ($host) {{ {} }} }} }} }}"},
    Surroundings{kLimitExcept, "events {{ }} http {{ server {{ location / {{ limit_except GET {{ {} }} }} }} }}"},
    Surroundings{kStream, "events {{ }} stream {{ {} }}"},
    Surroundings{kStreamServer, "events {{ }} stream {{ server {{ listen 1; proxy_pass 127.0.0.1:1; {} }} }}"},
    Surroundings{kStreamUpstream, "events {{ }} stream {{ upstream u {{ {} server 127.0.0.1:1; }} }}"},
};

/// A statement that is accepted and one that is not, where the syntax doesn't say both. What must stand in the http or stream
/// block before comes first, up to a bar.
struct Example {
  std::string_view accepted;  ///< empty: nothing is, the directive is known to say why not
  std::string_view refused;   ///< empty: the directive without arguments, or with one too many
};

const std::map<std::string_view, Example, std::less<>>& examples();

/// Statements with an argument of each kind that the last word of a syntax names.
Example from_syntax(const Directive& row) {
  const std::string_view syntax = row.action.syntax;
  static std::map<std::string, std::pair<std::string, std::string>, std::less<>> made;
  const auto statement = [&](std::string_view arguments) {
    return fmt::format("{}{}{};", row.name, arguments.empty() ? "" : " ", arguments);
  };
  std::string good = "x";
  std::string bad;
  if (syntax == "TIME") {
    good = "5s";
    bad = "soon";
  } else if (syntax == "SIZE" || syntax == "RATE" || syntax == "SIZE | off") {
    good = "8k";
    bad = "much";
  } else if (syntax == "NUMBER" || syntax == "NUMBER | auto") {
    good = "1";
    bad = "many";
  } else if (syntax == "NUMBER SIZE") {
    good = "4 8k";
    bad = "4 much";
  } else if (syntax.empty()) {
    good = "";
  } else if (std::ranges::all_of(syntax, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
                      c == ' ' || c == '|';
             })) {
    good = syntax.substr(0, syntax.find(' '));
    bad = "perhaps";
  }
  auto& kept = made[fmt::format("{}/{}", row.name, row.contexts)];
  kept = {statement(good), bad.empty() ? std::string() : statement(bad)};
  return {kept.first, kept.second};
}

Example example_of(const Directive& row) {
  const bool of_upstream = (row.contexts & (kUpstream | kStreamUpstream)) != 0;
  const auto key = fmt::format("{}{}", of_upstream ? "upstream " : row.contexts < kStream ? "" : "stream ", row.name);
  if (const auto known = examples().find(key); known != examples().end()) return known->second;
  if (const auto known = examples().find(row.name); known != examples().end()) return known->second;
  return from_syntax(row);
}

LoadResult load_within(const Surroundings& around, std::string_view statement) {
  static const FakeCatalog catalog;
  LoadOptions options;
  options.prefix = "/srv";
  options.variables = &catalog;
  options.accept_missing = true;
  std::string text(around.text);
  // A block of the main level stands for the one that is there.
  for (const std::string_view block : {"events {{ }} ", "http {{ }}"}) {
    const auto name = block.substr(0, block.find(' ') + 1);
    if (around.context != kMain || !statement.starts_with(name)) continue;
    text.replace(text.find(block), block.size(), "");
  }
  // A server of stream has one handler.
  for (const std::string_view handler : {"proxy_pass ", "return ", "pass "}) {
    if (around.context != kStreamServer || !statement.starts_with(handler)) continue;
    text.replace(text.find("proxy_pass 127.0.0.1:1; "), 24, "");
  }
  // What a statement needs in the block around everything stands before a bar.
  const auto bar = statement.find(" | ");
  std::string before;
  if (bar != std::string_view::npos) {
    before = statement.substr(0, bar);
    statement.remove_prefix(bar + 3);
  }
  text = fmt::format(fmt::runtime(text), statement);
  for (const std::string_view block : {"http {", "stream {"}) {
    if (const auto at = text.find(block); at != std::string::npos && !before.empty()) {
      text.insert(at + block.size(), " " + before);
      break;
    }
  }
  return load_text("nginx.conf", text, options);
}

std::string messages(const LoadResult& result) {
  std::string text;
  for (const auto& message : result.diagnostics) text += message.text + "\n";
  return text;
}

TEST(EveryDirective, TakesWhatItsSyntaxSaysWhereverItMayStand) {
  for (const auto& row : directives()) {
    if (row.support != Support::full && row.support != Support::tuning) continue;
    const Example example = example_of(row);
    if (example.accepted.empty()) continue;
    for (const auto& around : kSurroundings) {
      if ((row.contexts & around.context) == 0) continue;
      const auto result = load_within(around, example.accepted);
      EXPECT_TRUE(result.config) << example.accepted << " in " << context_names(around.context) << ":\n"
                                 << messages(result);
    }
  }
}

TEST(EveryDirective, RefusesWhatItDoesNotTakeAndSaysItsName) {
  for (const auto& row : directives()) {
    const bool ours = row.support == Support::full || row.support == Support::tuning;
    const Example example = ours ? example_of(row) : Example{};
    std::string wrong(example.refused);
    const std::string_view block = row.arity.block ? " { }" : ";";
    if (wrong.empty())
      wrong = fmt::format("{}{}{}", row.name, row.arity.least > 0 ? "" : " one too many of them", block);
    bool seen = false;
    for (const auto& around : kSurroundings) {
      if ((row.contexts & around.context) == 0) continue;
      seen = true;
      const auto result = load_within(around, wrong);
      EXPECT_FALSE(result.config) << wrong << " in " << context_names(around.context);
      EXPECT_NE(messages(result).find(" in nginx.conf:1"), std::string::npos)
          << wrong << " in " << context_names(around.context) << ":\n"
          << messages(result);
    }
    EXPECT_TRUE(seen) << row.name;
  }
}

TEST(EveryDirective, IsNotAllowedElsewhere) {
  std::map<std::string_view, std::uint32_t> contexts;
  for (const auto& row : directives()) contexts[row.name] |= row.contexts;
  for (const auto& row : directives()) {
    if (row.support != Support::full && row.support != Support::tuning) continue;
    for (const auto& around : kSurroundings) {
      if ((contexts[row.name] & around.context) != 0 || example_of(row).accepted.empty()) continue;
      const auto result = load_within(around, example_of(row).accepted);
      EXPECT_FALSE(result.config) << example_of(row).accepted << " in " << context_names(around.context);
      EXPECT_NE(messages(result).find(fmt::format("\"{}\" directive is not allowed here", row.name)), std::string::npos)
          << example_of(row).accepted << " in " << context_names(around.context) << ":\n"
          << messages(result);
    }
  }
}

const std::map<std::string_view, Example, std::less<>>& examples() {
  static const std::map<std::string_view, Example, std::less<>> all = {
      // clang-format off
      {"include", {"include /etc/gatehouse/no-such-*.conf;", "include a b;"}},
      {"user", {"user root;", "user no-such-user-here;"}},
      {"admin_listen", {"admin_listen 127.0.0.1:9;", "admin_listen nowhere;"}},
      {"events", {"events { }", "events x { }"}},
      {"http", {"http { }", ""}},
      {"stream", {"stream { }", ""}},
      {"server", {"server { listen 2; return 200; }", "server x { }"}},
      {"location", {"location /l/x { }", "location { }"}},
      {"listen", {"listen 8080;", "listen 8080 sometimes;"}},
      {"stream listen", {"listen 2;", "listen 2 sometimes;"}},
      {"add_header", {"add_header A b;", "add_header A b sometimes;"}},
      {"add_trailer", {"add_trailer A b;", "add_trailer A b sometimes;"}},
      {"types", {"types { text/x x; }", "types x { }"}},
      {"keepalive_timeout", {"keepalive_timeout 5s;", "keepalive_timeout soon;"}},
      {"proxy_pass", {"proxy_pass http://127.0.0.1;", "proxy_pass ftp://127.0.0.1;"}},
      {"stream proxy_pass", {"proxy_pass 127.0.0.1:1;", "proxy_pass 127.0.0.1;"}},
      {"proxy_set_header", {"proxy_set_header A b;", "proxy_set_header A;"}},
      {"proxy_ssl_protocols", {"proxy_ssl_protocols TLSv1.3;", "proxy_ssl_protocols TLSv9;"}},
      {"ssl_protocols", {"ssl_protocols TLSv1.2;", "ssl_protocols TLSv9;"}},
      {"proxy_ssl_conf_command", {"proxy_ssl_conf_command Options PrioritizeChaCha;", "proxy_ssl_conf_command Options;"}},
      {"ssl_conf_command", {"ssl_conf_command Options PrioritizeChaCha;", "ssl_conf_command Options;"}},
      {"proxy_store_access", {"proxy_store_access user:rw all:r;", "proxy_store_access nobody:rw;"}},
      {"proxy_redirect", {"proxy_redirect http://a/ /;", "proxy_redirect perhaps;"}},
      {"proxy_cookie_domain", {"proxy_cookie_domain a b;", "proxy_cookie_domain perhaps;"}},
      {"proxy_cookie_path", {"proxy_cookie_path / /a;", "proxy_cookie_path perhaps;"}},
      {"proxy_cookie_flags", {"proxy_cookie_flags a secure;", "proxy_cookie_flags a sticky;"}},
      {"proxy_ignore_headers", {"proxy_ignore_headers Expires;", "proxy_ignore_headers Server;"}},
      {"proxy_bind", {"proxy_bind 127.0.0.1;", "proxy_bind nowhere;"}},
      {"proxy_cache_path", {"proxy_cache_path /c keys_zone=a:1m;", "proxy_cache_path /c;"}},
      {"proxy_cache", {"proxy_cache_path /c keys_zone=a:1m; | proxy_cache a;", "proxy_cache nowhere;"}},
      {"proxy_cache_valid", {"proxy_cache_valid 200 5m;", "proxy_cache_valid 200 soon;"}},
      {"proxy_cache_methods", {"proxy_cache_methods GET POST;", "proxy_cache_methods BREW;"}},
      {"proxy_cache_use_stale", {"proxy_cache_use_stale error updating;", "proxy_cache_use_stale always;"}},
      {"proxy_next_upstream", {"proxy_next_upstream error http_502;", "proxy_next_upstream always;"}},
      {"stream proxy_next_upstream", {"proxy_next_upstream off;", "proxy_next_upstream perhaps;"}},
      {"proxy_next_upstream_tries", {"proxy_next_upstream_tries 2;", "proxy_next_upstream_tries many;"}},
      {"modern_browser", {"modern_browser gecko 1.0;", "modern_browser lynx 1.0;"}},
      {"upstream", {"upstream v { server 127.0.0.1; }", "upstream { }"}},
      {"stream upstream", {"upstream v { server 127.0.0.1:1; }", "upstream { }"}},
      {"upstream server", {"server 127.0.0.1:2 weight=2;", "server 127.0.0.1:2 weight=heavy;"}},
      {"random", {"random two least_conn;", "random three;"}},
      {"least_time", {"least_time header;", "least_time soon;"}},
      {"sticky", {"sticky cookie s expires=1h;", "sticky glue;"}},
      {"keepalive", {"keepalive 4;", "keepalive many;"}},
      {"hash", {"hash $host consistent;", "hash $host inconsistent;"}},
      {"allow", {"allow 10.0.0.0/8;", "allow nobody;"}},
      {"deny", {"deny all;", "deny nobody;"}},
      {"set_real_ip_from", {"set_real_ip_from 10.0.0.0/8;", "set_real_ip_from 10.0.0.0/99;"}},
      {"debug_connection", {"debug_connection 10.0.0.0/8;", "debug_connection 10.0.0.0/99;"}},
      {"resolver", {"resolver 127.0.0.1 valid=5s;", "resolver 127.0.0.1 valid=soon;"}},
      {"try_files", {"try_files $uri /x;", "try_files $uri;"}},
      {"alias", {"alias /x/;", ""}},
      {"disable_symlinks", {"disable_symlinks on from=/x;", "disable_symlinks perhaps;"}},
      {"stub_status", {"stub_status;", "stub_status perhaps now;"}},
      {"gzip_comp_level", {"gzip_comp_level 9;", "gzip_comp_level 10;"}},
      {"brotli_comp_level", {"brotli_comp_level 11;", "brotli_comp_level 12;"}},
      {"brotli_window", {"brotli_window 512k;", "brotli_window 3k;"}},
      {"gzip_window", {"gzip_window 4k;", "gzip_window 3k;"}},
      {"gzip_hash", {"gzip_hash 4k;", "gzip_hash 3k;"}},
      {"gzip_proxied", {"gzip_proxied expired auth;", "gzip_proxied sometimes;"}},
      {"gzip_disable", {"gzip_disable \"MSIE [4-6]\";", "gzip_disable \"(\";"}},
      {"gzip_types", {"gzip_types text/css;", ""}},
      {"sub_filter", {"sub_filter a b;", "sub_filter a;"}},
      {"charset_map", {"charset_map koi8-r utf-8 { 80 E282AC; }", "charset_map koi8-r utf-8 { 80 XYZ; }"}},
      {"expires", {"expires 1h;", "expires perhaps;"}},
      {"more_set_headers", {"more_set_headers 'A: b';", "more_set_headers -x 'A: b';"}},
      {"more_clear_headers", {"more_clear_headers A;", "more_clear_headers -x A;"}},
      {"limit_req_zone", {"limit_req_zone $host zone=a:1m rate=1r/s;", "limit_req_zone $host zone=a:1m rate=fast;"}},
      {"limit_req", {"limit_req_zone $host zone=a:1m rate=1r/s; | limit_req zone=a burst=5 nodelay;", "limit_req zone=a burst=many;"}},
      {"limit_conn_zone", {"limit_conn_zone $host zone=a:1m;", "limit_conn_zone $host zone=a;"}},
      {"stream limit_conn_zone", {"limit_conn_zone $remote_addr zone=a:1m;", "limit_conn_zone $remote_addr zone=a;"}},
      {"limit_conn", {"limit_conn_zone $host zone=a:1m; | limit_conn a 1;", "limit_conn a many;"}},
      {"stream limit_conn", {"limit_conn_zone $remote_addr zone=a:1m; | limit_conn a 1;", "limit_conn a many;"}},
      {"limit_req_status", {"limit_req_status 429;", "limit_req_status 99;"}},
      {"limit_conn_status", {"limit_conn_status 429;", "limit_conn_status 99;"}},
      {"geo", {"geo $g { default 0; 10.0.0.0/8 1; }", "geo $g { 10.0.0.0/99 1; }"}},
      {"split_clients", {"split_clients $host $s { 50% a; * b; }", "split_clients $host $s { 150% a; }"}},
      {"map", {"map $host $m { default 0; a 1; }", "map $host m { }"}},
      {"auth_request_set", {"auth_request_set $a b;", "auth_request_set a b;"}},
      {"limit_except", {"limit_except GET { }", "limit_except { }"}},
      {"valid_referers", {"valid_referers none *.example.com;", "valid_referers ~(;"}},
      {"userid_flags", {"userid_flags secure;", "userid_flags perhaps;"}},
      {"userid_mark", {"userid_mark a;", "userid_mark ab;"}},
      {"userid_service", {"userid_service 5;", "userid_service many;"}},
      {"userid_expires", {"userid_expires 5d;", "userid_expires soon;"}},
      {"set", {"set $a b;", "set a b;"}},
      {"stream set", {"set $a b;", "set a b;"}},
      {"if", {"if ($host) { }", "if $host { }"}},
      {"rewrite", {"rewrite ^/a$ /b last;", "rewrite ( /b last;"}},
      {"return", {"return 204;", "return 1000;"}},
      {"stream return", {"return x;", ""}},
      {"pass", {"pass 127.0.0.1:1;", "pass nowhere;"}},
      {"error_page", {"error_page 404 =200 /x;", "error_page 200 /x;"}},
      {"ssl_session_cache", {"ssl_session_cache shared:a:1m;", "ssl_session_cache shared:a;"}},
      {"ssl_ecdh_curve", {"ssl_ecdh_curve X25519:prime256v1;", ""}},
      {"error_log", {"error_log /x warn;", "error_log /x loud;"}},
      {"log_format", {"log_format f $host;", "log_format f escape=html $host;"}},
      {"stream log_format", {"log_format f $remote_addr;", "log_format f escape=html $host;"}},
      {"access_log", {"access_log off;", "access_log /x nowhere;"}},
      {"stream access_log", {"access_log off;", "access_log /x nowhere;"}},
      {"modsecurity_rules", {"modsecurity_rules 'SecRuleEngine Off';", ""}},
      {"modsecurity_rules_remote", {"modsecurity_rules_remote key https://rules.example/;", "modsecurity_rules_remote key;"}},
      {"waf_remove_rule", {"waf_remove_rule 1 5-9;", "waf_remove_rule x;"}},
      {"waf_remove_target", {"waf_remove_target 1 ARGS:a;", "waf_remove_target 1;"}},
      {"waf_paranoia_level", {"waf_paranoia_level 4;", "waf_paranoia_level 5;"}},
      {"waf_anomaly_threshold", {"waf_anomaly_threshold 5 4;", "waf_anomaly_threshold many;"}},
      {"waf_body_limit", {"waf_body_limit 8k pass;", "waf_body_limit 8k perhaps;"}},
      {"ssl_alpn", {"ssl_alpn a b;", ""}},
      {"zone", {"zone z 64k;", "zone z much;"}},
      {"large_client_header_buffers", {"large_client_header_buffers 4 8k;", "large_client_header_buffers 4 much;"}},
      {"open_file_cache", {"open_file_cache max=10 inactive=5s;", "open_file_cache min=10;"}},
      {"open_log_file_cache", {"open_log_file_cache max=10;", "open_log_file_cache min=10;"}},
      {"ssl_ocsp_responder", {"ssl_ocsp_responder http://127.0.0.1/;", "ssl_ocsp_responder https://127.0.0.1/;"}},
      {"ssl_stapling_responder", {"ssl_stapling_responder http://a.example;", "ssl_stapling_responder a.example;"}},
      {"ssl_ocsp_cache", {"ssl_ocsp_cache shared:a:1m;", "ssl_ocsp_cache mine;"}},
      {"ssl_certificate_cache", {"ssl_certificate_cache max=10;", "ssl_certificate_cache valid=1m;"}},
      {"proxy_ssl_certificate_cache", {"proxy_ssl_certificate_cache max=10;", "proxy_ssl_certificate_cache valid=1m;"}},
      {"ssl_key_log", {"", ""}},
      {"worker_cpu_affinity", {"worker_cpu_affinity auto;", ""}},
      {"thread_pool", {"thread_pool a threads=4;", "thread_pool a threads=many;"}},
      {"aio", {"aio threads=a;", "aio perhaps;"}},
      {"directio", {"directio 4k;", "directio much;"}},
      {"auth_delay", {"auth_delay 1s;", "auth_delay soon;"}},
      {"secure_link_md5", {"secure_link $arg_m; secure_link_md5 x;", ""}},
      {"secure_link", {"secure_link $arg_m; secure_link_md5 x;", ""}},
      {"use", {"use epoll;", "use magic;"}},
      {"slice", {"slice 1m;", "slice much;"}},
      {"ssl_certificate", {"ssl_certificate a; ssl_certificate_key b;", ""}},
      {"ssl_certificate_key", {"ssl_certificate a; ssl_certificate_key b;", ""}},
      {"http2_max_concurrent_pushes", {"http2_max_concurrent_pushes 1;", ""}},
      {"http2_idle_timeout", {"http2_idle_timeout 1;", ""}},
      {"http2_recv_timeout", {"http2_recv_timeout 1;", ""}},
      {"http2_max_field_size", {"http2_max_field_size 1;", ""}},
      {"http2_max_header_size", {"http2_max_header_size 1;", ""}},
      {"http2_max_requests", {"http2_max_requests 1;", ""}},
      {"http2_push_preload", {"http2_push_preload on;", ""}},
      {"ssl_ech_file", {"", ""}},
      // clang-format on
  };
  return all;
}

}  // namespace
}  // namespace gatehouse::config
