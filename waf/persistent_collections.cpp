#include "waf/persistent_collections.hpp"

#include <algorithm>
#include <utility>

#include <strings.h>

namespace gatehouse::waf {

using modsecurity::variables::KeyExclusions;

PersistentCollection::PersistentCollection(std::unique_ptr<Collection> scratch, CollectionLimits limits, Clock now)
    : Collection(scratch->m_name), store_(limits), now_(std::move(now)), scratch_(std::move(scratch)) {}

template <class Resolve>
void PersistentCollection::on_scratch(const std::vector<StoredValue>& stored, Resolve resolve) {
  const std::scoped_lock lock(scratch_mutex_);
  for (const StoredValue& value : stored) scratch_->store(value.key, value.value);
  try {
    resolve(*scratch_);
  } catch (...) {
    for (const StoredValue& value : stored) scratch_->del(value.key);
    throw;
  }
  for (const StoredValue& value : stored) scratch_->del(value.key);
}

void PersistentCollection::store(std::string key, std::string value) { store_.put(key, value, now_()); }

bool PersistentCollection::storeOrUpdateFirst(const std::string& key, const std::string& value) {
  store_.put(key, value, now_());
  return true;
}

bool PersistentCollection::updateFirst(const std::string& key, const std::string& value) {
  return store_.replace(key, value, now_());
}

void PersistentCollection::del(const std::string& key) { store_.erase(key); }

std::unique_ptr<std::string> PersistentCollection::resolveFirst(const std::string& var) {
  auto found = store_.get(var, now_());
  return found ? std::make_unique<std::string>(std::move(found->value)) : nullptr;
}

void PersistentCollection::resolveSingleMatch(const std::string& var, Values* values) {
  if (auto found = store_.get(var, now_()))
    on_scratch({*found}, [&](Collection& scratch) { scratch.resolveSingleMatch(var, values); });
}

void PersistentCollection::resolveMultiMatches(const std::string& var, Values* values, KeyExclusions& exclusions) {
  const auto resolve = [&](Collection& scratch) { scratch.resolveMultiMatches(var, values, exclusions); };
  if (var.empty()) return on_scratch(store_.all(now_()), resolve);
  if (auto found = store_.get(var, now_())) on_scratch({*found}, resolve);
}

void PersistentCollection::resolveRegularExpression(const std::string& var, Values* values, KeyExclusions& exclusions) {
  on_scratch(store_.all(now_()),
             [&](Collection& scratch) { scratch.resolveRegularExpression(var, values, exclusions); });
}

std::array<PersistentCollection*, 5> install_collections(modsecurity::ModSecurity& instance, CollectionLimits limits,
                                                         const PersistentCollection::Clock& now) {
  std::array<PersistentCollection*, 5> installed{};
  std::size_t next = 0;
  for (auto* slot : {&instance.m_global_collection, &instance.m_resource_collection, &instance.m_ip_collection,
                     &instance.m_session_collection, &instance.m_user_collection}) {
    auto ours = std::make_unique<PersistentCollection>(std::unique_ptr<modsecurity::collection::Collection>(*slot),
                                                       limits, now);
    installed[next++] = ours.get();
    *slot = ours.release();
  }
  return installed;
}

PinnedCollection::PinnedCollection(std::unique_ptr<Collection> inner, std::vector<Pin> pins)
    : Collection(inner->m_name), inner_(std::move(inner)), pins_(std::move(pins)) {
  for (const Pin& pin : pins_) inner_->storeOrUpdateFirst(pin.name, pin.value);
}

bool PinnedCollection::is_pinned(std::string_view key) const {
  return std::any_of(pins_.begin(), pins_.end(), [key](const Pin& pin) {
    return pin.name.size() == key.size() && ::strncasecmp(pin.name.data(), key.data(), key.size()) == 0;
  });
}

void PinnedCollection::store(std::string key, std::string value) {
  if (!is_pinned(key)) inner_->store(std::move(key), std::move(value));
}

bool PinnedCollection::storeOrUpdateFirst(const std::string& key, const std::string& value) {
  return is_pinned(key) || inner_->storeOrUpdateFirst(key, value);
}

bool PinnedCollection::updateFirst(const std::string& key, const std::string& value) {
  return is_pinned(key) || inner_->updateFirst(key, value);
}

void PinnedCollection::del(const std::string& key) {
  if (!is_pinned(key)) inner_->del(key);
}

std::unique_ptr<std::string> PinnedCollection::resolveFirst(const std::string& var) {
  return inner_->resolveFirst(var);
}

void PinnedCollection::resolveSingleMatch(const std::string& var, Values* values) {
  inner_->resolveSingleMatch(var, values);
}

void PinnedCollection::resolveMultiMatches(const std::string& var, Values* values, KeyExclusions& exclusions) {
  inner_->resolveMultiMatches(var, values, exclusions);
}

void PinnedCollection::resolveRegularExpression(const std::string& var, Values* values, KeyExclusions& exclusions) {
  inner_->resolveRegularExpression(var, values, exclusions);
}

}  // namespace gatehouse::waf
