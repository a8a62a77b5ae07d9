#include "proxy/exchange/subrequest.hpp"

#include <algorithm>

#include "proxy/exchange/access_log.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/proxy.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/run_exchange.hpp"
#include "proxy/exchange/waf_gate.hpp"

namespace gatehouse::exchange {

io::Task<Result<std::string_view>> CollectingDownstream::read_body() { co_return std::string_view{}; }

io::Task<Result<void>> CollectingDownstream::send_interim(const ResponseHeadOut&) { co_return Result<void>{}; }

void CollectingDownstream::keep(std::string_view piece) {
  total_ += piece.size();
  body_.append(piece.substr(0, most_ - std::min(most_, body_.size())));
}

io::Task<Result<void>> CollectingDownstream::send_head(const ResponseHeadOut&, std::string_view body, bool) {
  head_sent_ = true;
  keep(body);
  co_return Result<void>{};
}

io::Task<Result<void>> CollectingDownstream::send_body(std::string_view body, bool, const http::Fields*) {
  keep(body);
  co_return Result<void>{};
}

io::Task<Result<void>> CollectingDownstream::tunnel(const ResponseHeadOut&, io::Stream&, std::string_view,
                                                    Milliseconds) {
  aborted_ = true;
  co_return Error{Reason::upstream_bad_interim};
}

io::Task<Result<void>> AppendingDownstream::send_head(const ResponseHeadOut&, std::string_view body, bool) {
  note_head();
  return send_response_body(parent_, body, false, nullptr);
}

io::Task<Result<void>> AppendingDownstream::send_body(std::string_view body, bool, const http::Fields*) {
  return send_response_body(parent_, body, false, nullptr);
}

namespace {

http::RequestSemantics semantics_of(const Exchange& parent, std::string_view uri, SubrequestBody body) {
  http::RequestSemantics semantics = parent.semantics;
  const std::size_t mark = std::min(uri.find('?'), uri.size());
  semantics.query = uri.substr(std::min(mark + 1, uri.size()));
  semantics.framing = {};
  semantics.expect_continue = false;
  if (body == SubrequestBody::of_parent && parent.body.size() > 0) {
    semantics.framing = {.kind = http::BodyKind::length, .length = parent.body.size(), .declared = true};
  }
  return semantics;
}

// What every subrequest has from its parent.
void inherit(Exchange& exchange, Exchange& parent) {
  exchange.parent = &parent;
  exchange.server = parent.server;
  exchange.client = parent.client;
  exchange.client_ip = parent.client_ip;
  exchange.real_address_found = true;
  exchange.user_variables = parent.user_variables;
  exchange.captures = parent.captures;
  exchange.captured = parent.captured;
  exchange.request_id = parent.request_id;
}

}  // namespace

Subrequest::Subrequest(Exchange& parent, std::string_view uri, SubrequestBody body, std::size_t keep)
    : uri_(uri),
      semantics_(semantics_of(parent, uri_, body)),
      downstream_(std::make_unique<CollectingDownstream>(keep)),
      exchange_(parent.thread, parent.generation, *downstream_, parent.connection, parent.head, semantics_) {
  inherit(exchange_, parent);
  exchange_.path = std::string_view(uri_).substr(0, uri_.find('?'));
  exchange_.internal = true;
  exchange_.raw_target_valid = false;
  if (body == SubrequestBody::of_parent) {
    exchange_.body.share(parent.body);
  } else {
    exchange_.method = http::Method::get;
    exchange_.method_text = "GET";
  }
  enter(exchange_, parent.server->root);
  if (!uri_.starts_with('@')) return;
  exchange_.path = parent.path;
  exchange_.args = parent.args;
  (void)redirect_to_named(exchange_, uri_);
}

Subrequest::Subrequest(Exchange& parent, Repeat purpose)
    : repeats_(true),
      semantics_(parent.semantics),
      downstream_(purpose == Repeat::next_slice ? std::make_unique<AppendingDownstream>(parent)
                                                : std::make_unique<CollectingDownstream>(0)),
      exchange_(parent.thread, parent.generation, *downstream_, parent.connection, parent.head, semantics_) {
  inherit(exchange_, parent);
  exchange_.route = parent.route;
  exchange_.path = parent.path;
  exchange_.args = parent.args;
  exchange_.path_changed = parent.path_changed;
  exchange_.path_had_escapes = parent.path_had_escapes;
  exchange_.raw_differs_in_meaning = parent.raw_differs_in_meaning;
  exchange_.internal = parent.internal;
  exchange_.raw_target_valid = parent.raw_target_valid;
  exchange_.location_prefix_valid = parent.location_prefix_valid;
  exchange_.method = parent.method;
  exchange_.method_text = parent.method_text;
  if (purpose == Repeat::next_slice) exchange_.slicing = parent.slicing;
}

Subrequest::~Subrequest() = default;

io::Task<void> Subrequest::run() {
  exchange_.debug("http subrequest \"{}?{}\"", exchange_.path, exchange_.args);
  auto running = repeats_ ? serve_from_upstream(exchange_) : run_subrequest(exchange_);
  co_await running;
  if (exchange_.settings().log_subrequest) write_access_log(exchange_);
}

BackgroundSubrequests::Running::Running(Exchange& parent, std::string_view uri, SubrequestBody body)
    : subrequest(parent, uri, body, 0), child(drive(subrequest)) {}

BackgroundSubrequests::Running::Running(Exchange& parent, Repeat purpose)
    : subrequest(parent, purpose), child(drive(subrequest)) {}

io::Task<Result<bool>> BackgroundSubrequests::Running::drive(Subrequest& subrequest) {
  auto running = subrequest.run();
  co_await running;
  co_return true;
}

void BackgroundSubrequests::start(Exchange& parent, std::string_view uri, SubrequestBody body) {
  running_.push_back(std::make_unique<Running>(parent, uri, body));
}

void BackgroundSubrequests::start(Exchange& parent, Repeat purpose) {
  running_.push_back(std::make_unique<Running>(parent, purpose));
}

io::Task<void> BackgroundSubrequests::join() {
  for (auto& one : running_) {
    auto joining = one->child.join();
    (void)co_await joining;
  }
  running_.clear();
}

}  // namespace gatehouse::exchange
