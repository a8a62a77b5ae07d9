// The typed configuration: what the directives of a configuration mean, after inheritance. Immutable once loaded and
// shared by every thread; the Ingress controller builds the same types without any text. Field names are the
// directives' names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/base/log.hpp"
#include "proxy/base/units.hpp"
#include "proxy/cache/zone_options.hpp"
#include "proxy/config/map.hpp"
#include "proxy/config/regex.hpp"
#include "proxy/config/rewrite.hpp"
#include "proxy/config/value.hpp"
#include "proxy/config/value_table.hpp"

namespace gatehouse::config {

/// Where a thing was written; `file` points into Config::sources and lives as long as the Config.
struct Position {
  std::string_view file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

using gatehouse::LogLevel;

/// `error_log FILE LEVEL`: "stderr", a path, or "syslog:..." as written.
struct ErrorLogTarget {
  std::string path;
  LogLevel level = LogLevel::error;
};

/// `log_format NAME [escape=...] STRING...`.
struct LogFormat {
  enum class Escape : std::uint8_t { standard, json, none };
  std::string name;
  Escape escape = Escape::standard;
  ComplexValue text;
};

/// `access_log PATH [FORMAT [buffer=SIZE] [flush=TIME] [if=CONDITION]]`.
struct AccessLogTarget {
  ComplexValue path;
  std::shared_ptr<const LogFormat> format;
  ByteCount buffer = 64 * kKiB;
  std::optional<Milliseconds> flush;      ///< `flush=`: how long a line may wait; nothing: Gatehouse's own 20 ms
  int gzip_level = 0;                     ///< 0: not compressed
  std::optional<ComplexValue> condition;  ///< logged unless it evaluates to "" or "0"
};

/// A header to set: `proxy_set_header`, `add_header`, `add_trailer`.
struct HeaderRule {
  std::string name;
  ComplexValue value;
  bool always = false;  ///< add_header only: on every status
};

/// Conditions of `proxy_next_upstream`, as bits.
enum NextUpstream : std::uint32_t {
  next_off = 0,
  next_error = 1u << 0,
  next_timeout = 1u << 1,
  next_invalid_header = 1u << 2,
  next_http_500 = 1u << 3,
  next_http_502 = 1u << 4,
  next_http_503 = 1u << 5,
  next_http_504 = 1u << 6,
  next_http_403 = 1u << 7,
  next_http_404 = 1u << 8,
  next_http_429 = 1u << 9,
  next_non_idempotent = 1u << 10,
};

/// `proxy_pass URL`. Either `upstream` is an index into Http::upstreams, or the target has variables.
struct ProxyPass {
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
  bool tls = false;             ///< https://
  std::size_t upstream = npos;  ///< index into Http::upstreams (implicit clusters are appended there while loading)
  std::optional<ComplexValue> target;  ///< the whole URL, when it has variables: evaluated per request
  std::string host;                    ///< $proxy_host: as written, with the port unless it is the default one
  std::string port;                    ///< $proxy_port
  std::optional<std::string> uri;      ///< the URI part; nothing when the directive has none (not even "/")
  Position position;
};

enum class VerifyClient : std::uint8_t { off, on, optional, optional_no_ca };
/// ssl_ocsp: which certificates of a client's chain a responder is asked about.
enum class OcspOfClients : std::uint8_t { off, leaf, on };

/// A piece of WAF rules as the connector's directives give it, in order; levels are merged child first
/// (ModSecurity-nginx).
struct WafRulesPiece {
  enum class Kind : std::uint8_t { file, text, remote };
  Kind kind = Kind::file;
  std::string value;  ///< path, SecLang text, or "KEY URL"
  Position position;
};
/// The pieces of one level (http, server or location) and its parent's level.
struct WafRulesLevel {
  std::vector<WafRulesPiece> pieces;
  std::shared_ptr<const WafRulesLevel> parent;
};

/// `waf_remove_rule`: rule ids, both ends included.
struct WafRuleRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};
/// `waf_remove_target`: a variable ("ARGS:comment") that the rules of an id or a tag do not look at.
struct WafRemovedTarget {
  std::string rule_or_tag;
  std::string target;
};

enum SslProtocol : std::uint32_t { ssl_v2 = 1, ssl_v3 = 2, tls_v1 = 4, tls_v1_1 = 8, tls_v1_2 = 16, tls_v1_3 = 32 };

/// TLS towards an upstream (`proxy_ssl_*`). Shared by every location that inherits it unchanged.
struct ProxySsl {
  bool verify = false;
  bool server_name = false;  ///< send SNI
  bool session_reuse = true;
  int verify_depth = 1;
  std::optional<ComplexValue> name;  ///< default $proxy_host
  std::string trusted_certificate, crl, certificate, certificate_key, ciphers = "DEFAULT", password_file;
  std::uint32_t protocols = tls_v1_2 | tls_v1_3;
  std::vector<std::pair<std::string, std::string>> conf_commands;
};

/// One line of `allow`/`deny` or `set_real_ip_from`.
struct NetworkRule {
  bool allow = false;
  bool all = false;           ///< `all`
  bool unix_sockets = false;  ///< `unix:`
  SocketAddress network;
  std::uint8_t prefix_length = 0;
};

/// `resolver ADDRESS... [valid=TIME] [ipv4=on|off] [ipv6=on|off]`.
struct ResolverSettings {
  std::vector<SocketAddress> servers;
  std::optional<Milliseconds> valid;
  bool ipv4 = true;
  bool ipv6 = true;
};

/// `types`: content type by the lower-case extension of the URI, without its dot.
using MimeTypes = std::map<std::string, std::string, std::less<>>;

// Groups of settings with a header of their own (settings/NAME.hpp): most levels share them, and most files need none.
struct FileSettings;
struct TryFiles;
struct LimitExcept;
struct CompressionSettings;
struct BodyFilterSettings;
struct CharsetMaps;
struct LimitSettings;
struct AuthSettings;
struct MirrorSettings;
struct ReplaceRule;
struct HeaderSettings;
struct ProxyTransformSettings;
struct CacheSettings;
struct BrowserSettings;
struct StreamSettings;
struct UserIdSettings;

/// Everything that http, server and location levels may set and locations inherit.
struct LocationSettings {
  enum class LingeringClose : std::uint8_t { off, on, always };
  enum class Redirect : std::uint8_t { off, standard, rules };
  /// `on` leaves the file for others to remove, `clean` removes it when the request is over.
  enum class BodyInFile : std::uint8_t { off, on, clean };
  enum class WafOnError : std::uint8_t { reject, pass };
  enum class WafMode : std::uint8_t { inherit, off, detect, block };
  /// shadow: the library decides, and is compared with. force: on, whatever version of the library there is.
  enum class WafFastPath : std::uint8_t { off, on, shadow, force };
  enum class WafBodyPolicy : std::uint8_t { reject, inspect_prefix, pass };

  // client
  ByteCount client_max_body_size = 1 * kMiB;  ///< 0 = unlimited
  ByteCount client_body_buffer_size = 16 * kKiB;
  Milliseconds client_body_timeout{60000};
  ByteCount client_body_min_rate = 250;  ///< bytes per second, counted after the first 5 s; 0 = off (Gatehouse's own)
  std::string client_body_temp_path = "client_body_temp";
  std::array<std::uint8_t, 3> client_body_temp_levels{};  ///< digits of each folder below it; 0: no folder
  BodyInFile client_body_in_file_only = BodyInFile::off;
  Milliseconds send_timeout{60000};
  ByteCount send_min_rate = 250;  ///< as client_body_min_rate, for the response
  Milliseconds keepalive_timeout{75000};
  Milliseconds keepalive_min_timeout{0};
  std::optional<Milliseconds> keepalive_timeout_header;  ///< second argument: `Keep-Alive: timeout=`
  std::uint64_t keepalive_requests = 1000;
  Milliseconds keepalive_time{3600000};
  LingeringClose lingering_close = LingeringClose::on;
  Milliseconds lingering_time{30000};
  Milliseconds lingering_timeout{5000};
  bool reset_timedout_connection = false;
  bool tcp_nodelay = true;
  bool server_tokens = true;
  bool absolute_redirect = true;
  bool port_in_redirect = true;
  bool server_name_in_redirect = false;
  bool chunked_transfer_encoding = true;
  std::string default_type = "text/plain";
  std::shared_ptr<const MimeTypes> types;  ///< null: nginx's three (html, gif, jpg)

  // proxy
  Milliseconds proxy_connect_timeout{60000};
  Milliseconds proxy_send_timeout{60000};
  Milliseconds proxy_read_timeout{60000};
  bool proxy_buffering = true;
  bool proxy_request_buffering = true;
  ByteCount proxy_buffer_size = 16 * kKiB;  ///< limit of the upstream response head
  std::uint32_t proxy_buffers_number = 8;
  ByteCount proxy_buffers_size = 4 * kKiB;
  ByteCount proxy_max_temp_file_size = 1024 * kMiB;  ///< of a response that a slow client has not taken; 0: no file
  std::string proxy_temp_path = "proxy_temp";
  int proxy_http_version = 11;  ///< 10 or 11
  bool proxy_pass_request_headers = true;
  bool proxy_pass_request_body = true;
  bool proxy_socket_keepalive = false;
  bool proxy_ignore_client_abort = false;
  bool proxy_intercept_errors = false;
  std::uint32_t proxy_next_upstream = next_error | next_timeout;
  std::uint32_t proxy_next_upstream_tries = 0;
  Milliseconds proxy_next_upstream_timeout{0};
  std::uint32_t proxy_max_interim_responses = 16;  ///< 1xx before the final response (Gatehouse's own)
  std::optional<ComplexValue> proxy_method;
  std::shared_ptr<const std::vector<HeaderRule>> proxy_set_header;    ///< never null; has `Host $proxy_host` unless set
  std::shared_ptr<const std::vector<std::string>> proxy_hide_header;  ///< lower case; never null
  std::shared_ptr<const std::vector<std::string>> proxy_pass_header;  ///< lower case; never null
  Redirect proxy_redirect = Redirect::standard;
  bool proxy_redirect_standard_too = false;  ///< `default` beside rules: it comes after them
  std::shared_ptr<const std::vector<ReplaceRule>> proxy_redirect_rules;  ///< may be null
  std::shared_ptr<const ProxySsl> proxy_ssl;                             ///< never null

  // response headers and logs
  std::shared_ptr<const std::vector<HeaderRule>> add_header;       ///< never null
  std::shared_ptr<const std::vector<AccessLogTarget>> access_log;  ///< never null; empty = off
  std::shared_ptr<const std::vector<ErrorLogTarget>> error_log;    ///< never null
  bool log_not_found = true;
  bool log_subrequest = false;
  bool rewrite_log = false;
  bool uninitialized_variable_warn = true;

  // error pages
  std::shared_ptr<const std::vector<ErrorPage>> error_page;  ///< null: none
  bool recursive_error_pages = false;
  bool msie_padding = true;
  bool msie_refresh = false;

  // access and real address; first match wins
  std::shared_ptr<const std::vector<NetworkRule>> access;            ///< never null
  std::shared_ptr<const std::vector<NetworkRule>> set_real_ip_from;  ///< `allow` unused; never null
  std::string real_ip_header = "X-Real-IP";  ///< "proxy_protocol" takes the PROXY header's address
  bool real_ip_recursive = false;

  // groups; null: none of their directives is set here or above
  std::shared_ptr<const FileSettings> files;
  std::shared_ptr<const CompressionSettings> compression;
  std::shared_ptr<const BodyFilterSettings> body_filters;
  std::shared_ptr<const LimitSettings> limits;
  std::shared_ptr<const AuthSettings> auth;
  std::shared_ptr<const MirrorSettings> mirror;
  std::shared_ptr<const HeaderSettings> headers;
  std::shared_ptr<const ProxyTransformSettings> proxy_transform;
  std::shared_ptr<const CacheSettings> cache;
  std::shared_ptr<const BrowserSettings> browser;
  std::shared_ptr<const StreamSettings> stream;  ///< of a server of the stream block; null in http
  std::shared_ptr<const UserIdSettings> userid;

  // names
  std::shared_ptr<const ResolverSettings> resolver;  ///< null: the system's /etc/resolv.conf
  Milliseconds resolver_timeout{30000};

  // WAF
  bool modsecurity = false;
  bool modsecurity_use_error_log = true;
  std::optional<ComplexValue> modsecurity_transaction_id;
  std::shared_ptr<const WafRulesLevel> waf_rules;  ///< null: none
  Milliseconds waf_timeout{10000};                 ///< longest wait for a verdict (Gatehouse's own)
  WafOnError waf_on_error = WafOnError::reject;
  // A place's differences from the shared rules (all Gatehouse's own).
  WafMode waf_mode = WafMode::inherit;  ///< inherit: as SecRuleEngine says
  WafFastPath waf_fast_path = WafFastPath::on;
  std::uint32_t waf_shadow_sample =
      0;  ///< the library also sees one of so many requests that were proven clean; 0: none
  std::optional<int> waf_paranoia_level;
  std::optional<int> waf_inbound_anomaly_threshold;
  std::optional<int> waf_outbound_anomaly_threshold;
  std::optional<ByteCount> waf_body_limit;
  std::optional<WafBodyPolicy> waf_body_policy;
  std::shared_ptr<const std::vector<WafRuleRange>> waf_remove_rule;        ///< null: none
  std::shared_ptr<const std::vector<std::string>> waf_remove_tag;          ///< null: none
  std::shared_ptr<const std::vector<WafRemovedTarget>> waf_remove_target;  ///< null: none
};

/// How a location is matched (nginx's five forms).
enum class LocationKind : std::uint8_t { prefix, prefix_no_regex, exact, regex, named };

/// A location block, or a server's own level (then `kind` is prefix and `path` is empty).
struct Location {
  LocationKind kind = LocationKind::prefix;
  std::string path;                    ///< prefix or exact text (decoded form), or "@name"
  std::shared_ptr<const Regex> regex;  ///< kind == regex
  std::string label;  ///< the `route` label of metrics: as written, "~ \.php$"; "-" for a server's own level
  Position position;
  bool internal = false;
  LocationSettings settings;
  Program program;                            ///< set, if, rewrite, return, break; runs before access and WAF
  std::optional<ReturnAction> return_action;  ///< when the program is nothing but a return
  std::optional<ProxyPass> proxy_pass;
  enum class Handler : std::uint8_t { files, empty_gif, stub_status };
  Handler handler = Handler::files;                  ///< what answers where there is no proxy_pass
  std::shared_ptr<const LimitExcept> limit_except;   ///< null: none
  std::shared_ptr<const TryFiles> try_files;         ///< null: none; not inherited, as in nginx
  std::vector<std::unique_ptr<Location>> locations;  ///< nested
  std::uint32_t id = 0;                              ///< index into Config::locations
};

/// One name of `server_name`.
struct ServerName {
  enum class Kind : std::uint8_t { exact, leading_wildcard, trailing_wildcard, regex };
  Kind kind = Kind::exact;
  std::string text;  ///< lower case; wildcards without the star and its dot ("example.com" of *.example.com)
  std::shared_ptr<const Regex> regex;
};

/// TLS of a server (`ssl_*`).
struct ServerSsl {
  std::vector<std::string> certificates;      ///< in order of appearance: an RSA and an ECDSA pair may stand together
  std::vector<std::string> certificate_keys;  ///< same length
  std::string ciphers = "HIGH:!aNULL:!MD5";
  std::string ecdh_curve = "auto";
  std::string dhparam, password_file, client_certificate, trusted_certificate, crl, stapling_file;
  std::uint32_t protocols = tls_v1_2 | tls_v1_3;
  bool prefer_server_ciphers = false;
  bool session_tickets = true;
  bool reject_handshake = false;
  bool stapling = false;
  bool early_data = false;
  VerifyClient verify_client = VerifyClient::off;
  int verify_depth = 1;
  OcspOfClients ocsp = OcspOfClients::off;
  std::string ocsp_responder;     ///< empty: the one that the certificate names
  ByteCount ocsp_cache_size = 0;  ///< 0: answers are not kept
  std::string ocsp_cache;         ///< its name
  bool stapling_verify = false;
  std::string stapling_responder;  ///< empty: the one that the certificate names
  Milliseconds session_timeout{300000};
  std::string session_cache = "none";  ///< as written: off | none | [builtin[:N]] [shared:NAME:SIZE]
  std::vector<std::string> session_ticket_keys;
  ByteCount buffer_size = 16 * kKiB;
  Milliseconds handshake_timeout{10000};
  std::vector<std::pair<std::string, std::string>> conf_commands;
};

/// Settings that only http and server levels have.
struct ServerSettings {
  Milliseconds client_header_timeout{20000};  ///< for the whole head
  ByteCount client_header_buffer_size = 1 * kKiB;
  std::uint32_t large_client_header_buffers_number = 4;
  ByteCount large_client_header_buffers_size = 8 * kKiB;
  std::uint32_t max_headers = 200;
  bool ignore_invalid_headers = true;
  bool underscores_in_headers = false;
  bool merge_slashes = true;
  bool http2 = false;
  Milliseconds proxy_protocol_timeout{5000};
  ServerSsl ssl;
};

struct Server {
  std::vector<ServerName> names;  ///< never empty; "" when none was given
  std::string name;               ///< the first one as written, $server_name
  ServerSettings settings;
  Location root;  ///< the server's own level and its locations
  Position position;
  std::uint32_t id = 0;  ///< index into Http::servers
};

/// Options of one listening address; nginx's `listen` parameters.
struct ListenOptions {
  bool udp = false;  ///< datagrams; in stream only
  bool ssl = false;
  bool http2 = false;
  bool proxy_protocol = false;
  bool reuseport = false;
  bool deferred = false;
  std::optional<bool> ipv6only;
  int backlog = 511;
  std::optional<ByteCount> rcvbuf, sndbuf;
  int fastopen = 0;
  bool so_keepalive = false;
};

/// A listening address with the servers that share it.
struct Listener {
  SocketAddress address;
  ListenOptions options;
  std::vector<std::uint32_t> servers;  ///< indexes into Http::servers, in file order
  std::uint32_t default_server = 0;    ///< index into Http::servers
  Position position;
};

enum class BalanceMethod : std::uint8_t {
  round_robin,
  least_conn,
  least_time,
  ip_hash,
  hash,
  hash_consistent,
  random,
  random_two,
  random_two_least_time,
};

/// One `server` line of an upstream, or the target of an implicit one. Names are resolved while running.
struct UpstreamServer {
  std::string name;  ///< as written: "backend1:8080", "10.0.0.1", "unix:/run/app.sock"
  std::string host;  ///< without the port; a name, an address, or the unix path
  std::uint16_t port = 80;
  std::optional<SocketAddress> address;  ///< when `host` is an address already
  std::uint32_t weight = 1;
  std::uint32_t max_fails = 1;
  Milliseconds fail_timeout{10000};
  std::uint32_t max_conns = 0;
  Milliseconds slow_start{0};
  std::string route;   ///< what `sticky` knows it by; empty: the MD5 of its address
  bool drain = false;  ///< only requests that `sticky` binds to it
  bool backup = false;
  bool down = false;
  bool resolve = false;
  Position position;
};

/// `sticky cookie | route | learn ...`.
struct Sticky {
  enum class Kind : std::uint8_t { cookie, route, learn };
  Kind kind = Kind::cookie;
  std::vector<ComplexValue> lookup;     ///< the first that is not empty names the server (route, cookie) or the session
  std::string cookie;                   ///< name
  std::optional<std::int64_t> expires;  ///< seconds; the greatest number is `max`
  std::optional<ComplexValue> domain;
  std::optional<ComplexValue> samesite;
  std::string path;
  bool httponly = false;
  bool secure = false;
  std::vector<ComplexValue> create;  ///< of `learn`: the first that is not empty names a new session
  std::string zone;
  ByteCount zone_size = 0;
  Milliseconds timeout{600'000};
  bool after_head = false;  ///< sessions are learned from the response's head, not from its end
};

struct Upstream {
  std::string name;
  bool implicit = false;  ///< made from a proxy_pass URL
  BalanceMethod method = BalanceMethod::round_robin;
  std::optional<ComplexValue> hash_key;
  bool least_time_whole = false;      ///< least_time by the last byte, not by the head
  bool least_time_in_flight = false;  ///< requests that are not answered yet count
  std::shared_ptr<const Sticky> sticky;
  std::vector<UpstreamServer> servers;
  std::uint32_t keepalive = 32;  ///< idle connections kept per event thread; 0 = none
  std::uint64_t keepalive_requests = 1000;
  Milliseconds keepalive_time{3600000};
  Milliseconds keepalive_timeout{60000};
  std::uint32_t retry_budget = 20;  ///< retries per 100 requests, over 10 s; 100 and more is no limit (Gatehouse's own)
  std::uint32_t retry_budget_min = 3;  ///< retries per second that are always allowed
  std::shared_ptr<const ResolverSettings> resolver;
  Position position;
};

/// `limit_req_zone KEY zone=NAME:SIZE rate=RATE`.
struct RequestZone {
  std::string name;
  ComplexValue key;
  ByteCount size = 0;
  std::uint64_t rate = 0;  ///< requests per 1000 seconds
};

/// `limit_conn_zone KEY zone=NAME:SIZE`.
struct ConnectionZone {
  std::string name;
  ComplexValue key;
  ByteCount size = 0;
};

/// The http block; or the stream block, whose servers stand on listeners and inherit settings the same way, and have no
/// locations.
struct Http {
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Upstream> upstreams;
  std::vector<Listener> listeners;
  LocationSettings settings;                        ///< the http level itself
  std::shared_ptr<const CharsetMaps> charset_maps;  ///< null: none
  std::vector<RequestZone> request_zones;
  std::vector<ConnectionZone> connection_zones;
  std::vector<cache::ZoneOptions> cache_zones;
};

/// The main and events contexts.
struct MainSettings {
  std::optional<std::uint32_t> worker_processes;  ///< event threads; nothing = auto (one per core)
  std::string user, group;
  std::string pid = "run/gatehouse.pid";
  bool daemon = true;
  bool master_process = true;
  std::vector<ErrorLogTarget> error_log;
  std::vector<NetworkRule>
      debug_connections;  ///< clients whose connections write debug messages whatever the log's level
  std::optional<Milliseconds> worker_shutdown_timeout;
  std::optional<std::uint64_t> worker_rlimit_nofile;
  std::optional<ByteCount> worker_rlimit_core;
  bool binds_transparently = false;              ///< some proxy_bind says so: the worker keeps the capability for it
  int worker_priority = 0;                       ///< nice value of the worker
  std::vector<std::string> worker_cpu_affinity;  ///< as written: auto [MASK] | MASK...; empty: not bound
  std::uint32_t worker_connections = 16384;      ///< per event thread
  std::uint32_t waf_threads = 0;                 ///< 0 = one per core
  std::uint32_t waf_queue = 4096;                ///< evaluations that may wait
  std::optional<SocketAddress> admin_listen;     ///< nothing = off
  std::string working_directory;
  std::vector<std::string> env;
};

/// `limit_conn_zone KEY zone=NAME:SIZE` of the stream block.
struct StreamZone {
  std::string name;
  ComplexValue key;
  ByteCount size = 0;
};

struct SourceFile {
  std::string path;
  std::string text;
};

/// A loaded configuration.
struct Config {
  MainSettings main;
  Http http;
  std::vector<const Location*> locations;   ///< every location of every server, those of `if` too, by Location::id
  std::vector<std::string> user_variables;  ///< names of slots (named captures, set, map)
  std::vector<std::unique_ptr<const ValueTable>>
      variable_maps;             ///< by slot; null (or beyond the end): no table (map, geo ...) fills it
  std::vector<bool> set_by_set;  ///< by slot: a `set` fills it, so that nginx warns of it while none has
  std::vector<std::unique_ptr<const SourceFile>> sources;  ///< as read, in order of first use (-T)
  std::string prefix;                                      ///< what relative paths start from
  Http stream;
  std::vector<StreamZone> stream_zones;
  std::vector<std::string> stream_variables;  ///< as user_variables, of the stream block
  std::vector<std::unique_ptr<const ValueTable>> stream_variable_maps;
  std::uint64_t generation = 0;
};

}  // namespace gatehouse::config
