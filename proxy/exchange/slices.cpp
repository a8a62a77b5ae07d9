#include "proxy/exchange/slices.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "proxy/config/settings/body_filters.hpp"
#include "proxy/config/settings/compression.hpp"
#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/subrequest.hpp"
#include "proxy/http/conditional.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::uint64_t kMostOffset = std::numeric_limits<std::int64_t>::max();

// Whether the response may go out whole although the client asked for a range.
bool may_ignore_range(const Exchange& exchange) {
  const auto& settings = exchange.settings();
  if (const auto& compression = settings.compression) {
    if (compression->gzip || compression->brotli || compression->gunzip) return true;
  }
  const auto& filters = *settings.body_filters;
  return !filters.sub_filter.empty() || filters.add_before_body || filters.add_after_body ||
         config::files_of(settings).max_ranges == 0U;
}

// Where the client's range begins, as far as slices care (nginx's ngx_http_slice_get_start): 0 for anything but one plain
// range, and, other than in nginx, where the answer may be the whole representation all the same.
std::uint64_t first_byte_wanted(const Exchange& exchange) {
  const http::Fields& fields = exchange.head.fields;
  const auto range = fields.value(http::FieldId::range);
  if (!range || range->size() < 7 || !range->starts_with("bytes=") || fields.contains(http::FieldId::if_range) ||
      range->find(',') != std::string_view::npos || may_ignore_range(exchange)) {
    return 0;
  }
  const std::size_t at = range->find_first_not_of(' ', 6);
  if (at == std::string_view::npos) return 0;
  std::uint64_t first = 0;
  const auto read = std::from_chars(range->data() + at, range->data() + range->size(), first);
  return read.ec == std::errc{} && first <= kMostOffset ? first : 0;
}

bool refuse(Exchange& exchange, std::string_view why) {
  exchange.log(LogLevel::error, why);
  exchange.reply(502, Reason::upstream_bad_slice);
  return false;
}

}  // namespace

void Slicing::ask_for(std::uint64_t at) {
  start = at;
  taken = false;
  const auto end = fmt::format_to_n(text.data(), text.size(), "bytes={}-{}", at, at + size - 1).out;
  range = {text.data(), static_cast<std::size_t>(end - text.data())};
}

std::string_view slice_range(Exchange& exchange) {
  if (exchange.slicing) return exchange.slicing->range;
  const auto& settings = exchange.settings().body_filters;
  if (!settings || settings->slice == 0 || exchange.parent != nullptr || exchange.response.status != 0) return {};
  exchange.slicing = std::make_shared<Slicing>(settings->slice);
  exchange.slicing->ask_for(first_byte_wanted(exchange) / settings->slice * settings->slice);
  return exchange.slicing->range;
}

bool adopt_slice(Exchange& exchange) {
  ResponseHeadOut& head = exchange.response;
  Slicing& slicing = *exchange.slicing;
  const bool is_first = exchange.parent == nullptr;
  if (head.status != 206) {
    if (!is_first) return refuse(exchange, fmt::format("unexpected status code {} in slice response", head.status));
    exchange.slicing.reset();
    return true;
  }
  const std::string_view etag = head.fields.value(http::FieldId::etag).value_or(std::string_view{});
  if (!slicing.etag.empty() && etag != slicing.etag) return refuse(exchange, "etag mismatch in slice response");
  slicing.etag = etag;
  const auto range =
      http::parse_content_range(head.fields.value(http::FieldId::content_range).value_or(std::string_view{}));
  if (!range) return refuse(exchange, "invalid range in slice response");
  if (!range->total) return refuse(exchange, "no complete length in slice response");
  const std::uint64_t end = std::min(range->bytes.first + slicing.size, *range->total);
  if (range->bytes.first != slicing.start || range->bytes.end != end) {
    return refuse(exchange,
                  fmt::format("unexpected range in slice response: {}-{}", range->bytes.first, range->bytes.end));
  }
  slicing.taken = true;
  slicing.total = *range->total;
  head.status = 200;
  head.reason = {};
  head.fields.remove(http::FieldId::content_range);
  head.fields.remove(http::FieldId::accept_ranges);
  if (head.fields.contains(http::FieldId::content_length)) {
    head.fields.set("Content-Length", exchange.arena.copy(fmt::format("{}", slicing.total)),
                    http::FieldId::content_length);
  }
  if (head.framing.kind != http::BodyKind::none) head.framing.kind = http::BodyKind::length;
  head.framing.length = slicing.total;
  head.framing.declared = true;
  exchange.allow_ranges = true;
  return true;
}

bool awaits_slices(const Exchange& exchange) noexcept {
  return exchange.slicing && exchange.parent == nullptr && exchange.slicing->taken && !exchange.local &&
         !exchange.is_head() && http::has_content(exchange.response.status);
}

io::Task<void> send_other_slices(Exchange& exchange) {
  if (!awaits_slices(exchange) || exchange.downstream.aborted() || !exchange.downstream.head_sent()) co_return;
  const auto slicing = exchange.slicing;
  std::uint64_t next = slicing->start + slicing->size;
  std::uint64_t end = slicing->total;
  if (const auto range = exchange.output ? exchange.output->only_range() : std::nullopt) {
    if (next <= range->first) next = range->first / slicing->size * slicing->size;
    end = range->end;
  }
  for (; next < end; next += slicing->size) {
    slicing->ask_for(next);
    if (exchange.output) exchange.output->seek(next);
    Subrequest fetching(exchange, Repeat::next_slice);
    auto running = fetching.run();
    co_await running;
    const bool came = slicing->taken && fetching.status() < 300;
    if (came && !exchange.downstream.aborted()) continue;
    if (!slicing->taken && fetching.exchange().reason != Reason::upstream_bad_slice) {
      exchange.log(LogLevel::error, "missing slice response");
    }
    exchange.reason = fetching.exchange().reason;
    exchange.downstream.abort();
    co_return;
  }
  slicing->taken = false;  // nothing follows
  auto ending = send_response_body(exchange, {}, true, nullptr);
  if (const auto ended = co_await ending; !ended) exchange.fail_sending(ended.error());
}

}  // namespace gatehouse::exchange
