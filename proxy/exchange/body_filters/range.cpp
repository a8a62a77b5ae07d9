// Byte ranges of responses whose length is known (RFC 9110 section 14, nginx's range filter).
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::exchange {
namespace {

class Ranges : public BodyFilter {
 public:
  struct Part {
    http::ByteRange range;
    std::string before;  ///< delimiter and head of a part of multipart/byteranges
  };
  Ranges(std::vector<Part> parts, std::string end) : parts_(std::move(parts)), end_(std::move(end)) {}

  // Ranges may come in any order; the pieces come once, so those behind are kept until their turn.
  Result<void> process(std::string_view in, bool last, std::string& out) override {
    const http::ByteRange here{offset_, offset_ + in.size()};
    if (parts_.size() == 1) {
      const auto& range = parts_.front().range;
      const std::uint64_t first = std::max(range.first, here.first);
      const std::uint64_t end = std::min(range.end, here.end);
      if (first < end) out.append(in.substr(first - here.first, end - first));
    } else {
      whole_.append(in);
      if (last) {
        for (const auto& part : parts_) {
          out.append(part.before).append(std::string_view(whole_).substr(part.range.first, part.range.size()));
        }
        out.append(end_);
      }
    }
    offset_ = here.end;
    return Result<void>{};
  }

  void seek(std::uint64_t offset) noexcept override { offset_ = offset; }

  std::optional<http::ByteRange> only_range() const noexcept override {
    return parts_.size() == 1 ? std::optional(parts_.front().range) : std::nullopt;
  }

 private:
  std::vector<Part> parts_;
  std::string end_;
  std::string whole_;  ///< of several ranges: bounded by kMostBuffered
  std::uint64_t offset_ = 0;
};

constexpr std::uint64_t kMostBuffered = 8 * kMiB;  // several ranges of something larger are answered with all of it

http::Validators validators_of(const Exchange& exchange) {
  http::Validators validators;
  if (const auto modified = exchange.response.fields.value(http::FieldId::last_modified)) {
    validators.last_modified = http::parse_http_date(*modified);
  }
  validators.etag = exchange.response.fields.value(http::FieldId::etag).value_or(std::string_view{});
  return validators;
}

std::unique_ptr<BodyFilter> several(Exchange& exchange, const http::RangePlan& plan, std::uint64_t size) {
  // As nginx's boundary: 20 digits, another one each time.
  const std::string boundary = fmt::format("{:020}", ++exchange.thread.boundary);
  const std::string_view type = content_type_of(exchange);
  std::vector<Ranges::Part> parts;
  std::uint64_t length = 0;
  for (const auto& range : plan.ranges) {
    Ranges::Part part{range, fmt::format("\r\n--{}\r\n{}Content-Range: bytes {}-{}/{}\r\n\r\n", boundary,
                                         type.empty() ? std::string() : fmt::format("Content-Type: {}\r\n", type),
                                         range.first, range.end - 1, size)};
    length += part.before.size() + range.size();
    parts.push_back(std::move(part));
  }
  std::string end = fmt::format("\r\n--{}--\r\n", boundary);
  length += end.size();
  exchange.response.fields.set("Content-Type", exchange.arena.copy("multipart/byteranges; boundary=" + boundary),
                               http::FieldId::content_type);
  exchange.response.framing = {.kind = http::BodyKind::length, .length = length, .declared = true};
  return std::make_unique<Ranges>(std::move(parts), std::move(end));
}

}  // namespace

std::unique_ptr<BodyFilter> make_range(Exchange& exchange) {
  ResponseHeadOut& head = exchange.response;
  const auto& settings = config::files_of(exchange.settings());
  const bool known = head.framing.kind == http::BodyKind::length ||
                     (head.framing.kind == http::BodyKind::none && head.framing.declared);
  if (!exchange.allow_ranges || head.status != 200 || !known || exchange.parent != nullptr || settings.max_ranges == 0U)
    return nullptr;
  const std::uint64_t size = head.framing.length;
  const bool is_sliced = exchange.slicing && exchange.slicing->taken;
  const auto asked = exchange.head.fields.value(http::FieldId::range);
  http::RangePlan plan;
  bool counts = asked.has_value();
  if (counts && http::if_range_holds(exchange.head.fields, validators_of(exchange))) {
    // A representation that comes in slices passes once: several ranges of it are answered with all of it, as by nginx.
    const std::uint64_t most = is_sliced ? 1 : settings.max_ranges.value_or(std::numeric_limits<std::uint64_t>::max());
    plan = http::plan_ranges(*asked, size, most);
    counts = plan.kind != http::RangePlan::Kind::whole;
  } else {
    counts = false;
  }
  if (!counts || (plan.ranges.size() > 1 && size > kMostBuffered)) {
    head.fields.set("Accept-Ranges", "bytes", http::FieldId::accept_ranges);
    return nullptr;
  }
  head.fields.remove(http::FieldId::accept_ranges);
  if (plan.kind == http::RangePlan::Kind::unsatisfiable) {
    exchange.range_refused = exchange.arena.copy(fmt::format("bytes */{}", size));
    return nullptr;
  }
  head.status = 206;
  head.reason = {};
  if (plan.ranges.size() > 1) return several(exchange, plan, size);
  const http::ByteRange range = plan.ranges.front();
  head.fields.set("Content-Range", exchange.arena.copy(fmt::format("bytes {}-{}/{}", range.first, range.end - 1, size)),
                  http::FieldId::content_range);
  head.framing = {.kind = http::BodyKind::length, .length = range.size(), .declared = true};
  std::vector<Ranges::Part> parts;
  parts.push_back({range, {}});
  auto filter = std::make_unique<Ranges>(std::move(parts), std::string());
  if (is_sliced) filter->seek(exchange.slicing->start);
  return filter;
}

}  // namespace gatehouse::exchange
