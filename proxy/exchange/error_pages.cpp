#include "proxy/exchange/error_pages.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

const config::ErrorPage* find_page(const Exchange& exchange, int status) {
  const auto& pages = exchange.settings().error_page;
  if (!pages) return nullptr;
  const auto found = std::find_if(pages->begin(), pages->end(), [&](const config::ErrorPage& page) {
    return std::find(page.codes.begin(), page.codes.end(), status) != page.codes.end();
  });
  return found == pages->end() ? nullptr : &*found;
}

// What was answered so far is forgotten; what happened stays in the metrics and in $upstream_*.
void forget_answer(Exchange& exchange) {
  if (exchange.reason != Reason::none) exchange.thread.metrics.ends[static_cast<std::size_t>(exchange.reason)].add();
  exchange.reason = Reason::none;
  exchange.detail = {};
  exchange.local = false;
  exchange.local_body = {};
  exchange.error_status = 0;
  exchange.response = {};
  exchange.output.reset();
  exchange.allow_ranges = false;
  exchange.told_vary = false;
  exchange.decided.reset();
  exchange.upstream_url = {};
  exchange.upstream_group_ended = !exchange.tries.empty();
  if (exchange.route->rules) exchange.left_with_rules = exchange.route;
}

// Counts a redirect against the limit that ends cycles.
bool count_change(Exchange& exchange, std::string_view target) {
  if (--exchange.uri_changes_left > 0) return true;
  exchange.fail(Reason::rewrite_cycle,
                exchange.arena.copy(fmt::format("while internally redirecting to \"{}\"", target)));
  return false;
}

int status_of(const config::ErrorPage& page, int status) {
  switch (page.status) {
    case config::ErrorPage::Status::keep: return http::public_status(status);
    case config::ErrorPage::Status::of_the_page: return 0;
    case config::ErrorPage::Status::fixed: return page.fixed_status;
  }
  return 0;
}

}  // namespace

bool has_error_page(const Exchange& exchange, int status) { return find_page(exchange, status) != nullptr; }

bool redirect_internally(Exchange& exchange, std::string_view path, std::string_view args) {
  if (!count_change(exchange, path)) return false;
  forget_answer(exchange);
  exchange.debug("internal redirect: \"{}?{}\"", path, args);
  exchange.path = path;
  exchange.args = args;
  exchange.internal = true;
  exchange.raw_target_valid = false;
  exchange.location_prefix_valid = true;
  exchange.resume = Resume::server;
  exchange.redirected = true;
  enter(exchange, exchange.server->root);
  return true;
}

bool redirect_to_named(Exchange& exchange, std::string_view name) {
  if (!count_change(exchange, name)) return false;
  const config::Location* location = server_of(exchange).locations.find_named(name);
  if (location == nullptr) {
    exchange.fail(Reason::no_named_location, exchange.arena.copy(fmt::format("\"{}\"", name)));
    return false;
  }
  exchange.debug("using location: {} \"{}?{}\"", name, exchange.path, exchange.args);
  forget_answer(exchange);
  exchange.internal = true;
  exchange.resume = Resume::location;
  exchange.redirected = true;
  enter(exchange, *location);
  return true;
}

bool take_error_page(Exchange& exchange) {
  const int status = exchange.error_status;
  if (status == 0 || exchange.error_page_used || exchange.uri_changes_left == 0 || !exchange.settings().error_page) {
    return false;
  }
  exchange.error_page_used = !exchange.settings().recursive_error_pages;
  const config::ErrorPage* page = find_page(exchange, status);
  if (page == nullptr) return false;
  const std::string_view target = evaluate(page->uri, exchange);
  const int new_status = status_of(*page, status);
  if (target.starts_with('/')) {
    const std::size_t mark = std::min(target.find('?'), target.size());
    if (exchange.method != http::Method::head) {
      exchange.method = http::Method::get;
      exchange.method_text = "GET";
    }
    if (!redirect_internally(exchange, target.substr(0, mark), target.substr(std::min(mark + 1, target.size())))) {
      return false;
    }
  } else if (target.starts_with('@')) {
    if (!redirect_to_named(exchange, target)) return false;
  } else {
    const Reason why = exchange.reason;
    if (!target.empty()) exchange.redirect(http::is_redirect(new_status) ? new_status : 302, target);
    exchange.reason = why;
    return false;
  }
  exchange.forced_status = new_status;
  return true;
}

}  // namespace gatehouse::exchange
