// An exchange's dealings with the response cache (nginx's proxy_cache): what it looks for, what it found, what it stores.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "proxy/cache/zone.hpp"
#include "proxy/config/settings/cache.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/proxy_request.hpp"
#include "proxy/http/response_parser.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// $upstream_cache_status.
enum class CacheStatus : std::uint8_t { none, miss, bypass, expired, stale, updating, revalidated, hit };
/// nginx's text; "" for `none`.
[[nodiscard]] std::string_view text_of(CacheStatus status) noexcept;

/// Made by look_up() for an exchange in a place with a cache; lives as long as the exchange's way through this proxy_pass.
struct CacheUse {
  CacheUse(std::shared_ptr<cache::Zone> zone_, const config::CacheSettings& settings_)
      : zone(std::move(zone_)), settings(settings_) {}

  std::shared_ptr<cache::Zone> zone;
  const config::CacheSettings& settings;
  CacheStatus status = CacheStatus::none;
  std::string_view key;       ///< in the exchange's arena
  Digest main;                ///< of the key
  Digest digest;              ///< of the entry: `main`, or the variant's
  bool convert_head = false;  ///< the upstream is asked for the whole response of a HEAD
  bool may_store = true;  ///< nginx's `cacheable`: conditions of the client stay here, and the response may be stored
  bool update_behind = false;         ///< the entry is fetched anew behind the response that serves it stale
  bool stale_while_updating = false;  ///< by the stored response's own Cache-Control
  bool stale_if_error = false;
  std::optional<cache::StoredResponse> stored;  ///< what was found; expired ones may still serve
  std::optional<cache::EntryWriter> writer;     ///< the response that is being stored
  /// Declared last: giving it up wakes those who wait for the entry, which must be in its place by then.
  cache::Hold hold;

  /// Whether a response that is not valid any more stands in for a failure of this kind (bits of proxy_cache_use_stale).
  [[nodiscard]] bool may_serve_stale(std::uint32_t failure) const noexcept {
    return status == CacheStatus::expired && stored && ((settings.use_stale & failure) != 0 || stale_if_error);
  }
};

/// $upstream_cache_last_modified and $upstream_cache_etag: of an expired entry that proxy_cache_revalidate asks for; "" otherwise.
[[nodiscard]] std::string_view cached_last_modified(Exchange& exchange);
[[nodiscard]] std::string_view cached_etag(Exchange& exchange);

/// What becomes of the exchange after look_up().
enum class Lookup : std::uint8_t {
  fetch,     ///< ask the upstream; Exchange::cache is null if the cache has no part in it
  serve,     ///< CacheUse::stored answers
  answered,  ///< a local reply was made (a remembered failure, a purge, an unknown zone)
};

/// Limits that a head which was stored once surely keeps.
[[nodiscard]] http::ResponseParseLimits limits_for(std::string_view stored_head) noexcept;

/// Looks for the response in the place's zone; waits for another exchange that fetches it under proxy_cache_lock.
[[nodiscard]] io::Task<Lookup> look_up(Exchange& exchange, const ProxyTarget& target);

/// Sends CacheUse::stored, through the WAF, the client's conditions and every filter that acts in the place.
[[nodiscard]] io::Task<void> serve_stored(Exchange& exchange);

/// Judges whether an upstream's response is stored; opens CacheUse::writer if it is, else gives up the entry.
void begin_storing(Exchange& exchange, const http::ResponseHead& head);
/// Puts the finished entry in its place and wakes those who wait for it.
void finish_storing(Exchange& exchange);
/// The response was cut: nothing is stored.
void give_up_storing(Exchange& exchange) noexcept;
/// 304 for an expired entry: it is valid again, and answers. False: the response is none such.
[[nodiscard]] bool revalidate(Exchange& exchange, const http::ResponseHead& head);
/// Remembers a failure that proxy_cache_valid has a time for.
void remember_failure(Exchange& exchange, int status);

/// A body that is on disk, or on its way there.
struct StoredBody {
  const cache::StoredResponse* stored = nullptr;  ///< either this
  const cache::EntryWriter* writer = nullptr;     ///< or that
  io::Signal* grown = nullptr;                    ///< notified when `available`, `complete` or `failed` changes
  std::uint64_t available = 0;
  bool complete = false;
  bool failed = false;  ///< the rest will not come
};
/// Sends Exchange::response with a body from disk, as it comes. False when it was cut; the cause is logged.
[[nodiscard]] io::Task<bool> send_stored_body(Exchange& exchange, StoredBody& body);

}  // namespace gatehouse::exchange
