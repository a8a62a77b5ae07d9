// empty_gif and stub_status.
#include <array>

#include <fmt/format.h>

#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/metrics.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

// A GIF89a of one transparent pixel: header, palette of two colours, transparency, image, LZW data (GIF89a specification).
constexpr std::array<unsigned char, 43> kPixel = {'G', 'I',  'F',  '8',  '9',  'a',  1, 0, 1, 0,    0x80, 1, 0,    0, 0,
                                                  0,   0xff, 0xff, 0xff, 0x21, 0xf9, 4, 1, 0, 0,    1,    0, 0x2c, 0, 0,
                                                  0,   0,    1,    0,    1,    0,    0, 2, 2, 0x4c, 1,    0, 0x3b};

bool is_read(const Exchange& exchange) {
  return exchange.method == http::Method::get || exchange.method == http::Method::head;
}

}  // namespace

void answer_empty_gif(Exchange& exchange) {
  if (!is_read(exchange)) return exchange.reply(405, Reason::method_refused);
  const std::string_view pixel(reinterpret_cast<const char*>(kPixel.data()), kPixel.size());
  begin_local_head(exchange, 200);
  exchange.response.fields.add("Content-Type", "image/gif", http::FieldId::content_type);
  exchange.response.fields.add("Last-Modified", "Mon, 28 Sep 1970 06:00:00 GMT", http::FieldId::last_modified);
  exchange.response.framing = {.kind = http::BodyKind::length, .length = pixel.size(), .declared = true};
  exchange.local_body = pixel;
  if (!settle_head(exchange)) return;
  exchange.local = true;
  if (exchange.response.status == 304) exchange.local_body = {};
}

void answer_stub_status(Exchange& exchange) {
  if (!is_read(exchange)) return exchange.reply(405, Reason::method_refused);
  const ConnectionCounts counts = connection_counts();
  const std::string text = fmt::format(
      "Active connections: {} \nserver accepts handled requests\n {} {} {} \nReading: {} Writing: {} Waiting: {} \n",
      counts.active, counts.accepted, counts.accepted, counts.requests, counts.reading, counts.writing, counts.waiting);
  make_local_head(exchange, 200, "text/plain", exchange.arena.copy(text));
}

}  // namespace gatehouse::exchange
