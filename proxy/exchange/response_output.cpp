#include "proxy/exchange/response_output.hpp"

#include <algorithm>
#include <array>

#include "proxy/config/parse_value.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/exchange/body_filters/addition.hpp"
#include "proxy/exchange/debug_log.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

struct BodyFilterRow {
  BodyFilterMaker make;
  std::string_view why_here;
};

constexpr std::array kFilters = {
    BodyFilterRow{make_gunzip, "those behind it read the text"},
    BodyFilterRow{make_addition, "what is added is text, too"},
    BodyFilterRow{make_substitution, "strings are replaced in the charset they were written in"},
    BodyFilterRow{make_charset, "the last one that looks at characters"},
    BodyFilterRow{make_brotli, "packs what all others made; goes before gzip where a client takes both"},
    BodyFilterRow{make_gzip, "as brotli"},
    BodyFilterRow{make_range, "counts the bytes that the client would get"},
};

std::uint64_t rate_of(const std::optional<config::ComplexValue>& value, Exchange& exchange) {
  if (!value) return 0;
  return config::parse_size(evaluate(*value, exchange), config::Gigabytes::accepted).value_or(0);
}

bool is_listed(const Exchange& exchange, bool always) {
  constexpr std::array kStatuses = {200, 201, 204, 206, 301, 302, 303, 304, 307, 308};
  return always || std::ranges::find(kStatuses, exchange.response.status) != kStatuses.end();
}

// What nginx sends at the end of a chunked body for add_trailer; the values may depend on what was sent.
void evaluate_trailers(Exchange& exchange, http::Fields& trailers) {
  const auto& headers = exchange.settings().headers;
  if (!headers) return;
  for (const auto& rule : headers->add_trailer) {
    if (!is_listed(exchange, rule.always)) continue;
    const std::string_view value = evaluate(rule.value, exchange);
    if (!value.empty() && value.find_first_of("\r\n") == std::string_view::npos) trailers.add(rule.name, value);
  }
}

bool promises_trailers(const Exchange& exchange) {
  const auto& headers = exchange.settings().headers;
  if (!headers || exchange.is_head() || !http::has_content(exchange.response.status)) return false;
  return std::ranges::any_of(headers->add_trailer, [&](const auto& rule) { return is_listed(exchange, rule.always); });
}

// Sends a piece no faster than the rate allows (nginx's ngx_http_write_filter).
io::Task<Result<void>> send_paced(Exchange& exchange, bool head, std::string_view body, bool complete,
                                  const http::Fields* trailers) {
  const std::uint64_t rate = exchange.output->rate();
  const std::uint64_t after = exchange.output->rate_after();
  for (;;) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(exchange.now() - exchange.started).count();
    const std::uint64_t allowed = rate * (static_cast<std::uint64_t>(elapsed) + 1) + after;
    const std::uint64_t sent = exchange.downstream.bytes_sent();
    if (sent >= allowed && !body.empty()) {
      const Milliseconds wait{std::clamp<std::uint64_t>((sent - allowed) * 1000 / rate + 1, 1, 60'000)};
      co_await exchange.thread.reactor.sleep_until(exchange.now() + wait);
      continue;
    }
    const std::string_view part =
        body.substr(0, std::min<std::uint64_t>(body.size(), allowed - std::min(sent, allowed)));
    body.remove_prefix(part.size());
    const bool last = complete && body.empty();
    if (head) {
      auto sending = exchange.downstream.send_head(exchange.response, part, last && trailers == nullptr);
      const auto done = co_await sending;
      if (!done) co_return done;
      head = false;
      if (body.empty() && !(last && trailers != nullptr)) co_return Result<void>{};
      if (body.empty()) {
        auto ending = exchange.downstream.send_body({}, true, trailers);
        co_return co_await ending;
      }
      continue;
    }
    auto sending = exchange.downstream.send_body(part, last, last ? trailers : nullptr);
    const auto done = co_await sending;
    if (!done || body.empty()) co_return done;
  }
}

io::Task<Result<void>> send_filtered(Exchange& exchange, bool head, std::string_view body, bool complete,
                                     const http::Fields* trailers) {
  ResponseOutput& output = *exchange.output;
  if (Addition* const addition = head ? output.addition() : nullptr) {
    auto fetching = addition->fetch(exchange);
    co_await fetching;
  }
  const bool bodiless = exchange.is_head() || !http::has_content(exchange.response.status);
  if (output.filters_body() && !bodiless) {
    const auto filtered = output.filter(body, complete);
    if (!filtered) co_return filtered.error();
    body = *filtered;
    if (!head && body.empty() && !complete) co_return Result<void>{};
  }
  if (complete && promises_trailers(exchange)) {
    if (trailers != nullptr) {
      for (const auto& field : *trailers) output.trailers.add(field.name, field.value, field.id);
    }
    evaluate_trailers(exchange, output.trailers);
    if (!output.trailers.empty()) trailers = &output.trailers;
  }
  if (output.rate() != 0) {
    auto pacing = send_paced(exchange, head, body, complete, trailers);
    co_return co_await pacing;
  }
  if (!head) {
    auto sending = exchange.downstream.send_body(body, complete, trailers);
    co_return co_await sending;
  }
  auto sending = exchange.downstream.send_head(exchange.response, body, complete && trailers == nullptr);
  const auto sent = co_await sending;
  if (!sent || !complete || trailers == nullptr) co_return sent;
  auto ending = exchange.downstream.send_body({}, true, trailers);
  co_return co_await ending;
}

}  // namespace

ResponseOutput::ResponseOutput(Exchange& exchange) {
  const auto& settings = exchange.settings();
  for (const auto& row : kFilters) {
    if (auto filter = row.make(exchange)) filters_.push_back(std::move(filter));
  }
  buffers_.resize(filters_.size());
  if (settings.headers) {
    if (!exchange.limit_rate && settings.headers->limit_rate)
      exchange.limit_rate = rate_of(settings.headers->limit_rate, exchange);
    rate_after_ = rate_of(settings.headers->limit_rate_after, exchange);
  }
  if (exchange.limit_rate) rate_ = *exchange.limit_rate;
  if (promises_trailers(exchange) && exchange.response.framing.kind != http::BodyKind::chunked) forget_length(exchange);
}

ResponseOutput::~ResponseOutput() = default;

Addition* ResponseOutput::addition() noexcept {
  for (const auto& filter : filters_) {
    if (Addition* const found = filter->as_addition()) return found;
  }
  return nullptr;
}

std::optional<http::ByteRange> ResponseOutput::only_range() const noexcept {
  return filters_.size() == 1 ? filters_.front()->only_range() : std::nullopt;
}

Result<std::string_view> ResponseOutput::filter(std::string_view piece, bool last) {
  for (std::size_t i = 0; i < filters_.size(); ++i) {
    buffers_[i].clear();
    const auto done = filters_[i]->process(piece, last, buffers_[i]);
    if (!done) return done.error();
    piece = buffers_[i];
  }
  return piece;
}

void ResponseOutput::seek(std::uint64_t offset) noexcept {
  for (const auto& filter : filters_) filter->seek(offset);
}

void begin_output(Exchange& exchange) {
  if (exchange.slicing && exchange.parent != nullptr)
    return;  // the filters are the parent's: they see all slices as one
  if (exchange.output || !(exchange.route->shapes_output || exchange.allow_ranges || exchange.limit_rate)) return;
  exchange.output = std::make_unique<ResponseOutput>(exchange);
}

io::Task<Result<void>> send_response_head(Exchange& exchange, std::string_view body, bool complete) {
  begin_output(exchange);
  complete = complete && !awaits_slices(exchange);
  if (exchange.debugs()) tell_response(exchange);
  if (!exchange.output) return exchange.downstream.send_head(exchange.response, body, complete);
  return send_filtered(exchange, true, body, complete, nullptr);
}

io::Task<Result<void>> send_response_body(Exchange& exchange, std::string_view body, bool complete,
                                          const http::Fields* trailers) {
  complete = complete && !awaits_slices(exchange);
  if (!exchange.output) return exchange.downstream.send_body(body, complete, trailers);
  return send_filtered(exchange, false, body, complete, trailers);
}

}  // namespace gatehouse::exchange
