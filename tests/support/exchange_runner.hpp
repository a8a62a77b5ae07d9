// Exchanges without a connection: a configuration, a request's text, and what would have been sent to the client.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/loader.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/run_exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/request_parser.hpp"
#include "tests/support/loop.hpp"
#include "waf/engine.hpp"

namespace gatehouse::test {

/// A client that takes everything at once and sends no body.
class FakeDownstream final : public exchange::Downstream {
 public:
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
  bool given_up = false;

  [[nodiscard]] std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return {};
  }

  void use_settings(const config::LocationSettings&) noexcept override {}
  io::Task<Result<std::string_view>> read_body() override { co_return std::string_view{}; }
  bool body_finished() const noexcept override { return true; }
  void cancel_read_body() noexcept override {}
  const http::Fields* request_trailers() const noexcept override { return nullptr; }
  io::Task<Result<void>> send_interim(const exchange::ResponseHeadOut&) override { co_return Result<void>{}; }
  io::Task<Result<void>> send_head(const exchange::ResponseHeadOut& head, std::string_view first, bool) override {
    status = head.status;
    for (const auto& field : head.fields) fields.emplace_back(field.name, field.value);
    body.append(first);
    co_return Result<void>{};
  }
  io::Task<Result<void>> send_body(std::string_view piece, bool, const http::Fields*) override {
    body.append(piece);
    co_return Result<void>{};
  }
  bool head_sent() const noexcept override { return status != 0; }
  std::uint64_t bytes_sent() const noexcept override { return body.size(); }
  std::uint64_t body_bytes_sent() const noexcept override { return body.size(); }
  std::uint64_t request_bytes() const noexcept override { return 0; }
  void watch_client(io::Stream*) noexcept override {}
  bool client_gone() const noexcept override { return false; }
  io::Task<Result<void>> tunnel(const exchange::ResponseHeadOut&, io::Stream&, std::string_view,
                                Milliseconds) override {
    co_return Result<void>{};
  }
  void close_after_response() noexcept override {}
  void abort() noexcept override { given_up = true; }
  bool aborted() const noexcept override { return given_up; }
};

/// One configuration and the exchanges that run under it. Without upstreams: proxy_pass is for the end-to-end tests.
class ExchangeRunner {
 public:
  /// `servers` is the content of the http block; its first listener takes the requests. Throws what does not load.
  explicit ExchangeRunner(const std::string& servers) {
    config::LoadOptions options;
    options.variables = &exchange::variable_catalog();
    const auto loaded = config::load_text("test.conf", "events {} http { access_log off; " + servers + " }", options);
    if (!loaded.config) throw std::runtime_error(loaded.diagnostics.front().text);
    std::vector<std::string> notes;
    auto shared = exchange::build_generation(loaded.config, shared_, notes);
    std::vector<exchange::RouteKey> routes;
    for (const auto& route : shared->routes) routes.push_back({route.server, route.route});
    thread_.metrics.use_routes(routes);
    generation_ = std::make_shared<exchange::ThreadGeneration>();
    generation_->shared = std::move(shared);
  }

  /// What `GET target` is answered with; `fields` are whole header lines.
  [[nodiscard]] FakeDownstream get(std::string_view target, std::string_view fields = {},
                                   std::string_view method = "GET") {
    std::string text = std::string(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
    text.append(fields).append("\r\n");
    http::RequestParser parser;
    if (parser.parse(text) != http::ParseStatus::complete) throw std::runtime_error("the request does not parse");
    const auto semantics = http::validate_request(parser.head());
    if (!semantics) throw std::runtime_error("the request is not valid");
    FakeDownstream downstream;
    exchange::ConnectionInfo connection;
    connection.peer = connection.local = SocketAddress::ipv4({127, 0, 0, 1}, 80);
    connection.peer_ip = "127.0.0.1";
    {
      exchange::Exchange exchange(thread_, generation_, downstream, connection, parser.head(), *semantics);
      loop_.run(exchange::run_exchange(exchange, generation_->shared->listeners.front()));
    }
    return downstream;
  }

 private:
  Loop loop_;
  waf::Engine engine_;
  io::WorkerPool pool_{1, 16, "waf"};
  exchange::WafService waf_{engine_, pool_, 64};
  exchange::SharedState shared_;
  exchange::ThreadState thread_{loop_.reactor, 0, waf_, 16};
  std::shared_ptr<exchange::ThreadGeneration> generation_;
};

}  // namespace gatehouse::test
