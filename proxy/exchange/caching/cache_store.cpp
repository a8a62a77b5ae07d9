// Behind the upstream: what is stored, for how long (nginx's ngx_http_upstream_send_response and ngx_http_file_cache_update).
#include "proxy/cache/freshness.hpp"
#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/upstream_rewrites.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::exchange {
namespace {

cache::IgnoredFields ignored_fields(const Exchange& exchange) {
  const std::uint32_t bits = config::transform_of(exchange.settings()).ignore_headers;
  return {.accel_expires = (bits & config::ignore_x_accel_expires) != 0,
          .expires = (bits & config::ignore_expires) != 0,
          .cache_control = (bits & config::ignore_cache_control) != 0,
          .set_cookie = (bits & config::ignore_set_cookie) != 0,
          .vary = (bits & config::ignore_vary) != 0};
}

}  // namespace

void begin_storing(Exchange& exchange, const http::ResponseHead& head) {
  CacheUse& use = *exchange.cache;
  if (!use.may_store) return;
  const cache::Seconds now = exchange.wall_seconds();
  cache::Freshness fresh = cache::judge(head.fields, ignored_fields(exchange), now);
  if (!exchange.settings().proxy_buffering || !fresh.storable || any_is_true(use.settings.no_cache, exchange)) {
    give_up_storing(exchange);
    return;
  }
  if (fresh.valid_until == 0) {
    const cache::Seconds seconds = cache::valid_seconds(use.settings.valid, head.status);
    if (seconds == 0) {
      give_up_storing(exchange);
      return;
    }
    fresh.valid_until = now + seconds;
  }
  cache::FileHeader header;
  header.valid_until = fresh.valid_until;
  header.stale_while_updating = fresh.stale_while_updating;
  header.stale_if_error = fresh.stale_if_error;
  if (const auto modified = head.fields.value(http::FieldId::last_modified)) {
    header.last_modified = http::parse_http_date(*modified).value_or(-1);
  }
  header.key = use.key;
  header.vary = cache::vary_of(head.fields, ignored_fields(exchange));
  if (!header.vary.empty()) header.variant = cache::variant_of(use.main, header.vary, exchange.head.fields);
  header.head = exchange.upstream_head.unread().substr(0, head.size);
  // A variant that is not the one that was looked for begins a family of its own.
  if (use.digest != use.main && use.digest != header.variant) use.digest = use.main;
  const std::string path = use.zone->path_of(use.digest);
  if (auto writer = cache::EntryWriter::begin(path, std::move(header))) {
    use.writer.emplace(std::move(*writer));
    return;
  }
  exchange.log_errno("open()", path);
  give_up_storing(exchange);
}

void finish_storing(Exchange& exchange) {
  CacheUse& use = *exchange.cache;
  if (!use.writer) return;
  if (const auto bytes = use.writer->commit()) {
    use.zone->index().stored(use.digest, *bytes, exchange.wall_seconds());
  } else {
    exchange.log_errno("rename()", use.zone->path_of(use.digest));
  }
  use.hold.release();
}

void give_up_storing(Exchange& exchange) noexcept {
  CacheUse& use = *exchange.cache;
  use.writer.reset();
  use.hold.release();
}

// The field `id` of the stored head, if it is to be validated; it views the stored text.
static std::string_view validator(Exchange& exchange, http::FieldId id) {
  const CacheUse* const use = exchange.cache.get();
  if (use == nullptr || use->status != CacheStatus::expired || !use->settings.revalidate || !use->stored) return {};
  const std::string& text = use->stored->header.head;
  http::ResponseParser parser(limits_for(text));
  if (parser.parse(text) != http::ParseStatus::complete) return {};
  return parser.head().fields.value(id).value_or(std::string_view{});
}

std::string_view cached_last_modified(Exchange& exchange) { return validator(exchange, http::FieldId::last_modified); }

std::string_view cached_etag(Exchange& exchange) { return validator(exchange, http::FieldId::etag); }

bool revalidate(Exchange& exchange, const http::ResponseHead& head) {
  CacheUse& use = *exchange.cache;
  if (head.status != 304 || use.status != CacheStatus::expired || !use.settings.revalidate || !use.stored) return false;
  const cache::Seconds now = exchange.wall_seconds();
  cache::FileHeader& header = use.stored->header;
  cache::Freshness fresh = cache::judge(head.fields, ignored_fields(exchange), now);
  if (fresh.valid_until == 0) {
    // What the 304 does not say, the stored response's own fields do.
    http::ResponseParser stored(limits_for(header.head));
    if (stored.parse(header.head) == http::ParseStatus::complete) {
      fresh = cache::judge(stored.head().fields, ignored_fields(exchange), now);
      if (fresh.valid_until == 0) {
        const cache::Seconds seconds = cache::valid_seconds(use.settings.valid, stored.head().status);
        if (seconds != 0) fresh.valid_until = now + seconds;
      }
    }
  }
  use.status = CacheStatus::revalidated;
  if (fresh.valid_until != 0) {
    header.valid_until = fresh.valid_until;
    header.stale_while_updating = fresh.stale_while_updating;
    header.stale_if_error = fresh.stale_if_error;
    const std::string path = use.zone->path_of(use.digest);
    if (!cache::rewrite_header(path, header)) exchange.log_errno("write()", path);
  }
  use.hold.release();
  return true;
}

void remember_failure(Exchange& exchange, int status) {
  CacheUse& use = *exchange.cache;
  if (!use.may_store || !use.hold) return;
  const cache::Seconds seconds = cache::valid_seconds(use.settings.valid, status);
  if (seconds == 0) return;
  use.zone->index().failed(use.digest, status, exchange.wall_seconds() + seconds);
}

}  // namespace gatehouse::exchange
