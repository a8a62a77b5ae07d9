#include "certs/shared_tls_state.hpp"

namespace gatehouse::certs {

SharedTlsState::SharedTlsState(WallClock now) : ticket_keys_(TicketKeys::rotating(now)) {}

std::shared_ptr<SessionCache> SharedTlsState::session_cache(std::string_view name, ByteCount capacity) {
  return cache_of(caches_, name, capacity);
}

std::shared_ptr<SessionCache> SharedTlsState::ocsp_cache(std::string_view name, ByteCount capacity) {
  return cache_of(ocsp_caches_, name, capacity);
}

std::shared_ptr<SessionCache> SharedTlsState::cache_of(Caches& caches, std::string_view name, ByteCount capacity) {
  const std::lock_guard lock(mutex_);
  const auto slot = caches.try_emplace(std::string(name)).first;
  auto cache = slot->second.lock();
  if (cache) {
    cache->resize(capacity);
  } else {
    cache = std::make_shared<SessionCache>(capacity);
    slot->second = cache;
  }
  return cache;
}

std::map<std::string, SessionCache::Figures> SharedTlsState::cache_figures() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, SessionCache::Figures> all;
  for (const auto& [name, slot] : caches_) {
    if (const auto cache = slot.lock()) all.emplace(name, cache->figures());
  }
  return all;
}

}  // namespace gatehouse::certs
