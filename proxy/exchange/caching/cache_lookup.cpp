// Before the upstream: key, zone, entry, lock (nginx's ngx_http_upstream_cache and ngx_http_file_cache_open).
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/io/signal.hpp"

namespace gatehouse::exchange {
namespace {

// Statuses in nginx's order of NGX_HTTP_CACHE_*.
constexpr std::array<std::string_view, 8> kStatusTexts = {"",      "MISS",     "BYPASS",      "EXPIRED",
                                                          "STALE", "UPDATING", "REVALIDATED", "HIT"};

std::uint32_t method_bit(http::Method method) noexcept {
  switch (method) {
    case http::Method::get: return config::cache_get;
    case http::Method::head: return config::cache_head;
    case http::Method::post: return config::cache_post;
    default: return 0;
  }
}

std::string_view key_of(Exchange& exchange, const config::CacheSettings& settings, const ProxyTarget& target) {
  if (settings.key) return exchange.arena.copy(evaluate(*settings.key, exchange));
  return exchange.arena.concat(std::string_view(target.tls ? "https://" : "http://"), exchange.proxy_host, target.uri);
}

std::int64_t steady_ms(TimePoint time) {
  return std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count();
}

// Whether the client's range begins further in than proxy_cache_max_range_offset lets entries be fetched for.
bool range_is_too_far(const Exchange& exchange, const config::CacheSettings& settings) {
  if (!settings.max_range_offset) return false;
  const auto range = exchange.head.fields.value(http::FieldId::range);
  if (!range || !range->starts_with("bytes=")) return false;
  std::string_view text = range->substr(6);
  while (text.starts_with(' ')) text.remove_prefix(1);
  std::uint64_t offset = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (read.ec != std::errc{}) return text.starts_with('-');  // from the end: how far that is nobody knows yet
  return offset >= *settings.max_range_offset;
}

Lookup purge(Exchange& exchange, CacheUse& use) {
  if (use.key.ends_with('*')) {
    use.zone->remove_by_prefix(std::string(use.key.substr(0, use.key.size() - 1)));
    exchange.reply_empty(204);
  } else if (use.zone->remove(use.main)) {
    exchange.reply_empty(204);
  } else {
    exchange.reply(404, Reason::file_not_found);
  }
  return Lookup::answered;
}

// Opens the entry's file into `use.stored`. A file that can't serve is a miss; why, the log tells.
bool open_stored(Exchange& exchange, CacheUse& use) {
  const std::string path = use.zone->path_of(use.digest);
  auto& stored = use.stored.emplace();
  switch (cache::open_entry(path, use.key, stored)) {
    case cache::OpenResult::opened: return true;
    case cache::OpenResult::missing: use.zone->index().removed(use.digest); break;
    case cache::OpenResult::damaged:
      exchange.log(LogLevel::crit, fmt::format("cache file \"{}\" is damaged, the response is fetched anew", path));
      break;
    case cache::OpenResult::collision:
      exchange.log(LogLevel::crit, fmt::format("cache file \"{}\" has md5 collision", path));
      break;
    case cache::OpenResult::failed: exchange.log_errno("open()", path); break;
  }
  use.stored.reset();
  return false;
}

enum class Found : std::uint8_t { usable, expired, missing, scarce, failure };

// One look at the index and the disk, with variants followed.
Found find(Exchange& exchange, CacheUse& use, int& failure) {
  const cache::Seconds now = exchange.wall_seconds();
  use.digest = use.main;
  use.stored.reset();
  for (const bool variant : {false, true}) {
    cache::Known known;
    use.hold = use.zone->index().use(use.digest, now, use.settings.min_uses, known);
    if (!use.hold) return Found::scarce;
    if (known.error != 0) {
      failure = known.error;
      return Found::failure;
    }
    const bool look = known.exists || use.zone->is_cold();
    if (look && open_stored(exchange, use)) {
      const cache::FileHeader& header = use.stored->header;
      if (!known.exists) use.zone->index().stored(use.digest, use.stored->size_on_disk, now);
      if (!variant && !header.vary.empty()) {
        const Digest wanted = cache::variant_of(use.main, header.vary, exchange.head.fields);
        if (wanted != header.variant) {
          use.digest = wanted;
          use.stored.reset();
          continue;
        }
      }
      if (header.valid_until >= now) return Found::usable;
      use.stale_while_updating = header.valid_until + header.stale_while_updating >= now;
      use.stale_if_error = header.valid_until + header.stale_if_error >= now;
      return Found::expired;
    }
    return known.used_enough ? Found::missing : Found::scarce;
  }
  return Found::missing;
}

bool begin_fetch(Exchange& exchange, CacheUse& use) {
  const std::int64_t now = steady_ms(exchange.now());
  return use.zone->index().begin_fetch(use.hold, now, now + use.settings.lock_age.count());
}

// Until the fetch of the entry has ended, or the deadline. The signal lives on with whoever still means to notify it.
io::Task<bool> await_fetch(Exchange& exchange, CacheUse& use, TimePoint deadline) {
  auto& reactor = exchange.thread.reactor;
  const auto ended = std::make_shared<io::Signal>(reactor);
  const bool fetching =
      use.zone->index().wait(use.hold, [ended, &reactor] { reactor.post([ended] { ended->notify_all(); }); });
  if (!fetching) co_return true;
  const std::int64_t age = use.settings.lock_age.count();
  const TimePoint look_again = std::min(deadline, exchange.now() + Milliseconds(std::max<std::int64_t>(age, 1)));
  auto waiting = ended->wait(look_again);
  const bool notified = co_await waiting;
  co_return notified || exchange.now() < deadline;
}

// An expired entry: served all the same where the place or the response says so, else fetched.
Lookup decide_expired(Exchange& exchange, CacheUse& use) {
  const bool mine = begin_fetch(exchange, use);
  const bool may_wait_behind = exchange.parent == nullptr &&
                               ((use.settings.use_stale & config::kStaleUpdating) != 0 || use.stale_while_updating);
  if (may_wait_behind && !mine) {
    use.status = CacheStatus::updating;
    return Lookup::serve;
  }
  if (may_wait_behind && use.settings.background_update && exchange.semantics.framing.kind == http::BodyKind::none) {
    use.status = CacheStatus::stale;
    use.update_behind = true;
    return Lookup::serve;
  }
  use.status = CacheStatus::expired;
  return Lookup::fetch;
}

std::shared_ptr<cache::Zone> zone_named(const Exchange& exchange, std::string_view name) {
  for (const auto& zone : exchange.generation->shared->cache_zones) {
    if (zone->options().name == name) return zone;
  }
  return nullptr;
}

}  // namespace

std::string_view text_of(CacheStatus status) noexcept { return kStatusTexts[static_cast<std::size_t>(status)]; }

io::Task<Lookup> look_up(Exchange& exchange, const ProxyTarget& target) {
  const auto& settings = *exchange.settings().cache;
  if (!settings.zone || (settings.methods & method_bit(exchange.method)) == 0) co_return Lookup::fetch;
  const std::string_view name = evaluate(*settings.zone, exchange);
  if (name.empty() || name == "off") co_return Lookup::fetch;
  auto zone = zone_named(exchange, name);
  if (!zone) {
    exchange.log(LogLevel::error, fmt::format("cache \"{}\" not found", name));
    exchange.reply(500, Reason::bug);
    co_return Lookup::answered;
  }
  exchange.cache = std::make_unique<CacheUse>(std::move(zone), settings);
  CacheUse& use = *exchange.cache;
  use.convert_head = exchange.method == http::Method::head && settings.convert_head;
  use.key = key_of(exchange, settings, target);
  use.main = use.digest = digest_of(use.key);
  exchange.debug("http cache key: \"{}\"", use.key);
  if (any_is_true(settings.purge, exchange)) co_return purge(exchange, use);
  if (any_is_true(settings.bypass, exchange)) {
    use.status = CacheStatus::bypass;
    co_return Lookup::fetch;
  }
  use.status = CacheStatus::miss;
  const TimePoint deadline = exchange.now() + settings.lock_timeout;
  for (;;) {
    int failure = 0;
    const Found found = find(exchange, use, failure);
    if (found == Found::usable) {
      use.status = CacheStatus::hit;
      co_return Lookup::serve;
    }
    if (found == Found::failure) {
      use.status = CacheStatus::hit;
      exchange.reply(failure, Reason::none);
      co_return Lookup::answered;
    }
    if (found == Found::expired) {
      const Lookup decided = decide_expired(exchange, use);
      if (decided == Lookup::fetch && range_is_too_far(exchange, settings)) use.may_store = false;
      co_return decided;
    }
    if (found == Found::scarce || range_is_too_far(exchange, settings)) {
      use.may_store = false;
      co_return Lookup::fetch;
    }
    if (begin_fetch(exchange, use) || !settings.lock) co_return Lookup::fetch;
    auto waiting = await_fetch(exchange, use, deadline);
    if (const bool in_time = co_await waiting; in_time) continue;
    exchange.log(LogLevel::info, "cache lock timeout");
    use.may_store = false;
    co_return Lookup::fetch;
  }
}

}  // namespace gatehouse::exchange
