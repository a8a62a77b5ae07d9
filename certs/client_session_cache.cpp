#include "certs/client_session_cache.hpp"

#include <utility>

namespace gatehouse::certs {

ClientSessionCache::ClientSessionCache(std::size_t max_sessions) : max_sessions_(max_sessions) {}

SSL_SESSION* ClientSessionCache::find(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  const auto entry = found->second;
  if (SSL_SESSION_is_resumable(entry->session.get()) != 1) {
    remove(key);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return entry->session.get();
}

void ClientSessionCache::store(std::string_view key, SessionPtr session) {
  if (max_sessions_ == 0) return;
  if (const auto found = index_.find(key); found != index_.end()) {
    found->second->session = std::move(session);
    entries_.splice(entries_.begin(), entries_, found->second);
    return;
  }
  if (index_.size() >= max_sessions_) {
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({std::string(key), std::move(session)});
  index_.emplace(entries_.front().key, entries_.begin());
}

void ClientSessionCache::remove(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const auto entry = found->second;
  index_.erase(found);
  entries_.erase(entry);
}

}  // namespace gatehouse::certs
