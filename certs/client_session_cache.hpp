// Sessions with upstreams, kept by peer and name so that a new connection can resume (`proxy_ssl_session_reuse`).
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "certs/openssl_types.hpp"

namespace gatehouse::certs {

/// One per event thread, not thread-safe; must outlive the connections configured with it. The least recently used goes
/// first.
class ClientSessionCache {
 public:
  explicit ClientSessionCache(std::size_t max_sessions = 4096);

  /// The newest session for `key`, borrowed until the next store(); null if there is none or it can't be resumed any
  /// more.
  [[nodiscard]] SSL_SESSION* find(std::string_view key);

  void store(std::string_view key, SessionPtr session);
  void remove(std::string_view key);
  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

 private:
  struct Entry {
    std::string key;
    SessionPtr session;
  };

  std::list<Entry> entries_;                                                ///< most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  ///< keys point into entries_
  std::size_t max_sessions_;
};

}  // namespace gatehouse::certs
