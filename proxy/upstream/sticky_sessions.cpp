#include "proxy/upstream/sticky_sessions.hpp"

#include <algorithm>

namespace gatehouse::upstream {

StickySessions::StickySessions(ByteCount size, Milliseconds timeout)
    : capacity_(std::max<std::size_t>(1, size / kBytesOfSession)), timeout_(timeout) {}

void StickySessions::expire(TimePoint now) {
  while (!sessions_.empty() && (now - sessions_.front().last >= timeout_ || sessions_.size() > capacity_)) {
    by_id_.erase(sessions_.front().id);
    sessions_.pop_front();
  }
}

std::optional<std::string> StickySessions::find(std::string_view session, TimePoint now) {
  const Digest id = digest_of(session);
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto known = by_id_.find(id);
  return known == by_id_.end() ? std::nullopt : std::optional(known->second->server);
}

void StickySessions::learn(std::string_view session, std::string_view server, bool create, TimePoint now) {
  const Digest id = digest_of(session);
  const std::lock_guard lock(mutex_);
  expire(now);
  if (const auto known = by_id_.find(id); known != by_id_.end()) {
    known->second->server = server;
    known->second->last = now;
    sessions_.splice(sessions_.end(), sessions_, known->second);
    return;
  }
  if (!create) return;
  sessions_.push_back({id, std::string(server), now});
  by_id_[id] = std::prev(sessions_.end());
  expire(now);
}

std::size_t StickySessions::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace gatehouse::upstream
