// One request and its response, in no HTTP version's terms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "proxy/base/arena.hpp"
#include "proxy/base/error.hpp"
#include "proxy/base/units.hpp"
#include "proxy/config/model.hpp"
#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/downstream.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/request_body.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/http/message.hpp"
#include "proxy/http/response_parser.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/target.hpp"
#include "proxy/io/read_buffer.hpp"

namespace gatehouse::exchange {

class WafGate;
class ResponseOutput;
class BackgroundSubrequests;
class ConnectionLeases;
struct CacheUse;
struct Slicing;

/// One attempt at an upstream peer, as $upstream_* tell it. Times are -1 while not reached.
struct UpstreamTry {
  std::string_view peer;  ///< "10.0.0.1:8080", in the exchange's arena
  int status = 0;         ///< 0: no response; then the log shows the status the failure stands for
  Milliseconds connect_time{-1};
  Milliseconds header_time{-1};
  Milliseconds response_time{-1};
  std::uint64_t response_length = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  bool reused = false;
  bool begins_group = false;  ///< of another proxy_pass than the one before
};

/// An answer that rewriting decided on (`return`, `rewrite ... redirect`).
struct DecidedAnswer {
  int status = 0;
  std::optional<std::string_view> text;  ///< a body, or the Location of a redirect
};

/// Where the phases go on when an exchange is given another URI or another location.
enum class Resume : std::uint8_t {
  server,    ///< at the server's own rewriting: a new URI
  location,  ///< at the rewriting of Exchange::route: a named location
};

/// The state of one exchange. Lives on its session's coroutine frame; filters get it by reference.
struct Exchange {
  Exchange(ThreadState& thread_, std::shared_ptr<const ThreadGeneration> generation_, Downstream& downstream_,
           ConnectionInfo& connection_, const http::RequestHead& head_, const http::RequestSemantics& semantics_);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  ThreadState& thread;
  std::shared_ptr<const ThreadGeneration> generation;  ///< the configuration the request began with
  Downstream& downstream;
  ConnectionInfo& connection;
  const http::RequestHead& head;
  const http::RequestSemantics& semantics;

  // Routing.
  const config::Server* server = nullptr;
  const LocationRuntime* route = nullptr;
  std::string_view path;      ///< the canonical path, nginx's $uri; what rewriting made of it
  std::string_view args;      ///< nginx's $args: the client's query until rewriting changes it
  bool path_changed = false;  ///< differs from the raw path
  bool path_had_escapes = false;
  bool raw_differs_in_meaning = false;
  std::string path_storage;          ///< backs `path` when it differs from the raw one
  config::Regex::Captures captures;  ///< of the last regular expression; offsets into `captured`
  std::string_view captured;
  /// Slots of named captures, `set` and `map`; a null data() means that nothing has filled the slot.
  boost::container::small_vector<std::string_view, 4> user_variables;
  std::uint8_t map_depth = 0;  ///< maps being evaluated: one that needs itself must end

  /// The exchange that asked for this one (auth_request, mirror, addition); null: a client did. It outlives this one.
  Exchange* parent = nullptr;

  // Rewriting and internal redirects, as nginx's flags of the same meaning.
  static constexpr std::uint8_t kMostUriChanges = 10;
  http::Method method;           ///< the client's, or GET in an error page
  std::string_view method_text;  ///< $request_method
  Resume resume = Resume::server;
  bool internal = false;              ///< the URI is not the client's any more: internal locations serve it
  bool raw_target_valid = true;       ///< the client's own target still says what `path` and `args` say
  bool location_prefix_valid = true;  ///< off when `break` kept a rewritten URI here: proxy_pass' URI replaces nothing
  std::uint8_t uri_changes_left = kMostUriChanges + 1;
  std::optional<DecidedAnswer> decided;  ///< waits for the WAF
  bool body_dropped = false;             ///< the request's body was refused or is gone: it must not be sent on
  bool error_page_used = false;          ///< no other one follows (recursive_error_pages off)
  int error_status = 0;   ///< the local reply is one that error_page may replace: its code, private ones as they are
  int forced_status = 0;  ///< what error_page makes of the next answer's status; 0: nothing
  bool real_address_found = false;
  bool redirected = false;  ///< the phases begin again: at `resume`

  // Limits and access, once for an exchange whatever becomes of its URI.
  std::string_view limit_req_status;                  ///< $limit_req_status
  std::string_view limit_conn_status;                 ///< $limit_conn_status
  std::unique_ptr<ConnectionLeases> leases;           ///< places that limit_conn counts
  std::unique_ptr<BackgroundSubrequests> background;  ///< that end before the exchange does
  std::string_view secure_link_expires;               ///< $secure_link_expires
  std::string_view challenge;  ///< WWW-Authenticate of a refusal, which stays whatever page tells of it

  // Who asks.
  SocketAddress client;        ///< after real_ip
  std::string_view client_ip;  ///< text of `client` without the port

  // The request's body.
  RequestBody body;

  // The response.
  ResponseHeadOut response;
  std::string_view local_body;              ///< of a local reply
  bool local = false;                       ///< the response is made here
  std::unique_ptr<ResponseOutput> output;   ///< filters at work; null: none
  bool allow_ranges = false;                ///< the body's bytes may be taken in ranges
  bool flush_each_piece = false;            ///< what an upstream sent must not wait in a filter
  bool told_vary = false;                   ///< the head has Vary: Accept-Encoding
  std::string_view range_refused;           ///< Content-Range of a 416
  std::optional<std::uint64_t> limit_rate;  ///< bytes per second, by `set $limit_rate` or X-Accel-Limit-Rate
  std::unique_ptr<http::Fields> carried;    ///< fields of a response that redirected here (X-Accel-Redirect)
  std::string_view user_id;                 ///< Set-Cookie of userid
  std::string_view user_id_set;             ///< $uid_set
  std::string_view sticky_cookie;           ///< Set-Cookie of `sticky cookie`, for the peer that was picked last
  std::string_view accel_charset;           ///< X-Accel-Charset
  std::string_view accel_type;              ///< Content-Type of a response that redirected to a file (X-Accel-Redirect)
  std::uint64_t gzip_in = 0;                ///< bytes before and behind gzip, for $gzip_ratio
  std::uint64_t gzip_out = 0;
  bool answered_whole = false;   ///< known once it is over: the log tells
  bool logging = false;          ///< its access log line is being made: messages say so
  Reason reason = Reason::none;  ///< why the exchange ended otherwise than by an upstream's answer
  std::string_view detail;       ///< more on `reason` for the log, in the arena

  // The upstream.
  boost::container::small_vector<UpstreamTry, 2> tries;
  std::string_view proxy_host;  ///< $proxy_host
  std::string_view proxy_port;
  std::string_view upstream_url;      ///< "http://10.0.0.1:80/path" of the error log
  bool upstream_group_ended = false;  ///< the next try belongs to another proxy_pass: " : " in $upstream_*
  io::ReadBuffer upstream_head;       ///< the upstream's head as received; kept until the log line is written
  std::optional<http::ResponseParser> upstream_parser;  ///< views into it
  std::unique_ptr<http::Fields> upstream_trailers;      ///< in the arena; null: none came
  const http::Fields* upstream_fields = nullptr;        ///< of the parser; null until a head was received

  std::shared_ptr<Slicing> slicing;  ///< null: $slice_range was not looked at, or the upstream sends no slices
  std::unique_ptr<CacheUse> cache;   ///< of the current proxy_pass; null: no cache has a part in it

  // The WAF.
  std::unique_ptr<WafGate> waf;
  const LocationRuntime* left_with_rules = nullptr;  ///< the last location with rules that the exchange left again

  TimePoint started;
  std::int64_t started_wall_ms;  ///< milliseconds since the epoch
  std::string_view request_id;   ///< 32 hex digits, made on first use
  Arena arena;

  [[nodiscard]] const config::LocationSettings& settings() const noexcept { return route->location->settings; }
  [[nodiscard]] TimePoint now() const noexcept { return thread.reactor.now(); }
  /// Seconds since 1970.
  [[nodiscard]] std::int64_t wall_seconds() const noexcept { return thread.reactor.wall_milliseconds() / 1000; }
  [[nodiscard]] bool is_head() const noexcept { return head.method == http::Method::head; }
  /// The value of a slot; makes room when it is the first. `value` is never "nothing", empty is a value too.
  void set_variable(std::uint16_t slot, std::string_view value);

  /// Whose rules judge the request: the location's, or else those of one that the exchange left, so that neither `rewrite` nor
  /// `error_page` leads around the WAF. Null: nobody's.
  [[nodiscard]] const LocationRuntime* judge() const noexcept { return route->rules ? route : left_with_rules; }

  /// Logs to the error log of the request's place, with nginx's trailing context (client, server, request, upstream, host).
  void log(LogLevel level, std::string_view text) const;
  /// Whether debug messages are written: ask where making one costs more than its text.
  [[nodiscard]] bool debugs() const noexcept { return connection.debug || error_log().enabled(LogLevel::debug); }
  /// A message of level debug: its text alone, without the context of log(), as nginx writes them.
  template <class... Arguments>
  void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    if (debugs()) error_log().debug(connection.debug, connection.number, format, std::forward<Arguments>(arguments)...);
  }
  /// Logs `CALL "FILE" failed (errno: its text)` at [crit]; errno is read first.
  void log_errno(std::string_view call, std::string_view file) const;
  [[nodiscard]] const ErrorLog& error_log() const noexcept;

  /// Makes the response a local reply with nginx's page for `status`; `why` goes to the log and the metrics.
  void reply(int status, Reason why, std::string_view why_detail = {});
  /// A local redirect; a relative `location` becomes absolute as absolute_redirect, server_name_in_redirect and port_in_redirect say.
  void redirect(int status, std::string_view location);
  /// A path made a URL of this server, unless absolute_redirect is off; anything else stays as it is.
  [[nodiscard]] std::string_view absolute(std::string_view location);
  /// A local reply without a body.
  void reply_empty(int status);
  /// The reply that the reason's row asks for.
  void fail(Reason why, std::string_view why_detail = {});
  /// The client went away or stopped reading while the response was sent: logged, and the connection given up.
  void fail_sending(Error error);
};

}  // namespace gatehouse::exchange
