#include "proxy/exchange/explain.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include <fmt/format.h>
#include <openssl/ssl.h>

#include "proxy/config/dump.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/rewrite.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/proxy_request.hpp"
#include "proxy/exchange/subrequest.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/request_parser.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/status.hpp"
#include "proxy/http/url.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/io/worker_pool.hpp"
#include "waf/engine.hpp"

namespace gatehouse::exchange {
namespace {

// A TLS object that says "this connection is TLS" to whoever asks; nothing was ever sent over it.
class UnusedTls {
 public:
  explicit UnusedTls(bool wanted) {
    if (!wanted) return;
    context_ = SSL_CTX_new(TLS_server_method());
    ssl_ = SSL_new(context_);
  }
  ~UnusedTls() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  UnusedTls(const UnusedTls&) = delete;
  UnusedTls& operator=(const UnusedTls&) = delete;
  [[nodiscard]] SSL* get() const noexcept { return ssl_; }

 private:
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

std::string at(const config::Position& position) {
  return position.line == 0 ? std::string() : fmt::format("  ({}:{})", position.file, position.line);
}

class Explanation {
 public:
  Explanation(std::shared_ptr<const Generation> generation, const http::Url& url, const ListenerRuntime& listener)
      : generation_(std::move(generation)), listener_(listener), tls_(url.tls) {
    text_ = fmt::format("GET {}{} HTTP/1.1\r\nHost: {}\r\n\r\n", url.uri.starts_with('/') ? "" : "/", url.uri,
                        url.authority);
    connection_.local = listener.listener->address;
    connection_.peer = SocketAddress::ipv4({127, 0, 0, 1}, 1);
    connection_.peer_ip = "127.0.0.1";
    connection_.tls = tls_.get();
  }

  std::string run() {
    fact("listener", "{}{}", listener_.listener->address.to_string(), at(listener_.listener->position));
    if (parser_.parse(text_) != http::ParseStatus::complete) return refused("the request line is invalid or too long");
    const auto semantics = http::validate_request(parser_.head());
    if (!semantics) return refused(row(semantics.error().reason).text);
    auto own = std::make_shared<ThreadGeneration>();
    own->shared = generation_;
    for (const auto& upstream : generation_->config->http.upstreams) {
      own->clusters.push_back(std::make_shared<upstream::ClusterRuntime>(reactor_, upstream, 0));
    }
    Exchange exchange(thread_, own, downstream_, connection_, parser_.head(), *semantics);
    const Step found = find_server(exchange, listener_);
    const bool by_name = std::any_of(exchange.server->names.begin(), exchange.server->names.end(),
                                     [&](const config::ServerName& name) { return !name.text.empty() || name.regex; });
    const bool is_default = exchange.server->id == listener_.listener->default_server;
    fact("server", "{}{}{}", by_name ? exchange.server->name : "without a name",
         is_default ? ", the default of its listener" : "", at(exchange.server->position));
    if (found == Step::answered) return answered(exchange);
    const std::string before(exchange.path);
    if (rewrite_and_route(exchange) == Step::answered) return answered(exchange);
    if (exchange.path != before || exchange.args != exchange.semantics.query) {
      fact("rewritten", "{}{}{}", exchange.path, exchange.args.empty() ? "" : "?", exchange.args);
    }
    tell_location(exchange);
    tell_answer(exchange);
    tell_waf(exchange);
    const std::string settings = config::dump_settings(*generation_->config, *exchange.route->location, "  ");
    if (!settings.empty()) out_ += "settings that are not the default\n" + settings;
    return std::move(out_);
  }

 private:
  template <class... Values>
  void fact(std::string_view name, fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out_), "{:<12}{}\n", name, fmt::format(format, std::forward<Values>(values)...));
  }
  std::string refused(std::string_view why) {
    fact("answer", "refused: {}", why);
    return std::move(out_);
  }
  void tell_location(const Exchange& exchange) {
    const config::Location& location = *exchange.route->location;
    const bool whole = &location == &exchange.server->root;
    fact("location", "{}{}", whole ? "none: the server's own level" : location.label,
         whole ? "" : at(location.position));
  }
  // A phase has answered already.
  std::string answered(Exchange& exchange) {
    tell_location(exchange);
    const auto location = exchange.response.fields.value(http::FieldId::location);
    const std::string_view why = exchange.reason == Reason::none ? std::string_view{} : row(exchange.reason).text;
    fact("answer", "{} {}{}{}{}{}", exchange.response.status, http::reason_phrase(exchange.response.status),
         location ? " to " : "", location.value_or(""), why.empty() ? "" : ": ", why);
    tell_waf(exchange);
    return std::move(out_);
  }
  void tell_answer(Exchange& exchange) {
    const config::Location& location = *exchange.route->location;
    if (exchange.decided) {
      fact("answer", "{} {}{}{}", exchange.decided->status, http::reason_phrase(exchange.decided->status),
           exchange.decided->text ? ", " : "", exchange.decided->text.value_or(""));
      return;
    }
    if (location.try_files) fact("try_files", "asks for files first");
    if (!location.proxy_pass) {
      switch (location.handler) {
        case config::Location::Handler::empty_gif: fact("answer", "empty_gif"); return;
        case config::Location::Handler::stub_status: fact("answer", "stub_status"); return;
        case config::Location::Handler::files: fact("answer", "file {}", file_path(exchange, exchange.path)); return;
      }
    }
    const config::ProxyPass& pass = *location.proxy_pass;
    if (pass.target) {
      fact("answer", "proxy_pass {}, by variables", evaluate(*pass.target, exchange));
      return;
    }
    const auto target = find_target(exchange);
    if (!target) return;
    fact("answer", "proxy_pass {}://{}{}", pass.tls ? "https" : "http", exchange.proxy_host, target->uri);
    const config::Upstream& upstream = target->cluster->spec();
    for (const auto& server : upstream.servers) {
      fact(upstream.implicit ? "upstream" : "", "{} weight={}{}{}", server.name, server.weight,
           server.backup ? " backup" : "", server.down ? " down" : "");
    }
  }
  void tell_waf(const Exchange& exchange) {
    const LocationRuntime* const judge = exchange.judge();
    if (judge == nullptr) {
      fact("WAF", "off");
      return;
    }
    const waf::RuleCounts& counts = judge->rules->facts().counts;
    fact("WAF", "{} rules; fast path {}; overlay {}", counts.inline_text + counts.local_files + counts.remote,
         judge->shadow      ? "in shadow"
         : judge->fast_path ? "on"
                            : "off",
         judge->overlay ? "of this place" : "none");
  }

  std::shared_ptr<const Generation> generation_;
  const ListenerRuntime& listener_;
  UnusedTls tls_;
  std::string text_;
  std::string out_;
  http::RequestParser parser_;
  io::Reactor reactor_;
  waf::Engine engine_;
  io::WorkerPool pool_{1, 1, "explain"};
  WafService waf_{engine_, pool_, 1};
  ThreadState thread_{reactor_, 0, waf_, 1};
  CollectingDownstream downstream_{0};
  ConnectionInfo connection_;
};

}  // namespace

std::string explain(std::shared_ptr<const Generation> generation, std::string_view text) {
  // Without a scheme it is http; a fragment never leaves the browser.
  std::string absolute(text.substr(0, text.find('#')));
  if (absolute.find("://") == std::string::npos) absolute.insert(0, "http://");
  const auto url = http::parse_url(absolute);
  if (!url) return fmt::format("\"{}\" is not a URL: write it as http://NAME[:PORT]/PATH\n", text);
  std::string known;
  for (const auto& listener : generation->listeners) {
    const config::Listener& its = *listener.listener;
    if (its.address.port() == url->port && its.options.ssl == url->tls) {
      return Explanation(generation, *url, listener).run();
    }
    fmt::format_to(std::back_inserter(known), "{}{}{}", known.empty() ? "" : ", ", its.address.to_string(),
                   its.options.ssl ? " ssl" : "");
  }
  return fmt::format("nothing listens for {} on port {}; listeners: {}\n", url->tls ? "https" : "http", url->port,
                     known.empty() ? "none" : known);
}

}  // namespace gatehouse::exchange
