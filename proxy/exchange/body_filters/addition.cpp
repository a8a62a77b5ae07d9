// add_before_body and add_after_body.
#include "proxy/exchange/body_filters/addition.hpp"

#include "proxy/config/settings/body_filters.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/subrequest.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kMostAdded = 8 * kMiB;  // of each answer

}  // namespace

Result<void> Addition::process(std::string_view in, bool last, std::string& out) {
  out.append(std::exchange(before_, {})).append(in);
  if (last) out.append(after_);
  return Result<void>{};
}

io::Task<void> Addition::fetch(Exchange& exchange) {
  const auto settings = exchange.settings().body_filters;
  if (exchange.is_head()) co_return;
  for (const bool first : {true, false}) {
    const auto& uri = first ? settings->add_before_body : settings->add_after_body;
    if (!uri) continue;
    Subrequest subrequest(exchange, *uri, SubrequestBody::none, kMostAdded);
    auto running = subrequest.run();
    co_await running;
    (first ? before_ : after_) = subrequest.body();
  }
}

std::unique_ptr<BodyFilter> make_addition(Exchange& exchange) {
  const auto& settings = exchange.settings().body_filters;
  if (!settings || (!settings->add_before_body && !settings->add_after_body)) return nullptr;
  if (exchange.response.status != 200 || exchange.parent != nullptr) return nullptr;
  if (!settings->addition_types.contains(content_type_of(exchange))) return nullptr;
  forget_length(exchange);
  exchange.response.fields.remove(http::FieldId::accept_ranges);
  exchange.allow_ranges = false;
  weaken_etag(exchange);
  return std::make_unique<Addition>();
}

}  // namespace gatehouse::exchange
