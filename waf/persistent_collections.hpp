// Our backend for SecLang's persistent collections, in place of libmodsecurity's, which is unlocked, unbounded and
// never forgets. Included by waf's .cpp files only.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <modsecurity/collection/collection.h>
#include <modsecurity/modsecurity.h>

#include "waf/bounded_store.hpp"

namespace gatehouse::waf {

/// One collection ("IP"). Values are in a BoundedStore; the library's own collection, which it replaces, serves as a
/// scratch pad that a hit is put into for a moment, so that exclusions and patterns are matched by the library's own
/// code. Thread-safe.
class PersistentCollection final : public modsecurity::collection::Collection {
 public:
  using Values = std::vector<const modsecurity::VariableValue*>;
  using Clock = std::function<TimePoint()>;

  PersistentCollection(std::unique_ptr<modsecurity::collection::Collection> scratch, CollectionLimits limits,
                       Clock now);

  using Collection::del;
  using Collection::resolveFirst;
  using Collection::resolveMultiMatches;
  using Collection::resolveRegularExpression;
  using Collection::resolveSingleMatch;
  using Collection::store;
  using Collection::storeOrUpdateFirst;
  using Collection::updateFirst;

  void store(std::string key, std::string value) override;
  bool storeOrUpdateFirst(const std::string& key, const std::string& value) override;
  bool updateFirst(const std::string& key, const std::string& value) override;
  void del(const std::string& key) override;
  std::unique_ptr<std::string> resolveFirst(const std::string& var) override;
  void resolveSingleMatch(const std::string& var, Values* values) override;
  void resolveMultiMatches(const std::string& var, Values* values,
                           modsecurity::variables::KeyExclusions& exclusions) override;
  void resolveRegularExpression(const std::string& var, Values* values,
                                modsecurity::variables::KeyExclusions& exclusions) override;

  [[nodiscard]] BoundedStore::Counters counters() const { return store_.counters(); }

 private:
  // Calls `resolve` on the scratch pad while it holds `stored` and nothing else.
  template <class Resolve>
  void on_scratch(const std::vector<StoredValue>& stored, Resolve resolve);

  BoundedStore store_;
  Clock now_;
  std::mutex scratch_mutex_;
  std::unique_ptr<modsecurity::collection::Collection> scratch_;
};

/// Puts our collections in the place of an instance's own ones; the instance owns them from then on.
[[nodiscard]] std::array<PersistentCollection*, 5> install_collections(modsecurity::ModSecurity& instance,
                                                                       CollectionLimits limits,
                                                                       const PersistentCollection::Clock& now);

/// A transaction's TX collection in which some variables have a fixed value, whatever the rules set them to: how an
/// overlay changes CRS' paranoia level and thresholds.
class PinnedCollection final : public modsecurity::collection::Collection {
 public:
  struct Pin {
    std::string name;  ///< lower case
    std::string value;
  };
  using Values = std::vector<const modsecurity::VariableValue*>;

  PinnedCollection(std::unique_ptr<modsecurity::collection::Collection> inner, std::vector<Pin> pins);

  using Collection::del;
  using Collection::resolveFirst;
  using Collection::resolveMultiMatches;
  using Collection::resolveRegularExpression;
  using Collection::resolveSingleMatch;
  using Collection::store;
  using Collection::storeOrUpdateFirst;
  using Collection::updateFirst;

  void store(std::string key, std::string value) override;
  bool storeOrUpdateFirst(const std::string& key, const std::string& value) override;
  bool updateFirst(const std::string& key, const std::string& value) override;
  void del(const std::string& key) override;
  std::unique_ptr<std::string> resolveFirst(const std::string& var) override;
  void resolveSingleMatch(const std::string& var, Values* values) override;
  void resolveMultiMatches(const std::string& var, Values* values,
                           modsecurity::variables::KeyExclusions& exclusions) override;
  void resolveRegularExpression(const std::string& var, Values* values,
                                modsecurity::variables::KeyExclusions& exclusions) override;

 private:
  [[nodiscard]] bool is_pinned(std::string_view key) const;

  std::unique_ptr<modsecurity::collection::Collection> inner_;
  std::vector<Pin> pins_;
};

}  // namespace gatehouse::waf
