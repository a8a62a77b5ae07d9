#include "waf/fast_path_cache.hpp"

#include <exception>
#include <random>
#include <string_view>
#include <utility>

#include <modsecurity/modsecurity.h>

#include "waf/fastpath/build.hpp"
#include "waf/fastpath/explain.hpp"
#include "waf/library.hpp"

namespace gatehouse::waf {
namespace {

/// Each fold costs memory for every thread. So many of one rule set may be for what a single overlay takes out; later ones
/// share one that checks these rules still. Beyond so many in all there is no fast path.
constexpr std::size_t kMostExact = 8;
constexpr std::size_t kMostFolds = 16;
constexpr std::size_t kHashShown = 12;

/// The library's instance that rules are compared with. Its own: the process' engine may not exist yet.
class ProbeEngine {
 public:
  ProbeEngine() {
    instance_.setServerLogCb([](void*, const void*) {}, modsecurity::RuleMessageLogProperty);
  }
  [[nodiscard]] modsecurity::ModSecurity& instance() noexcept { return instance_; }

 private:
  modsecurity::ModSecurity instance_;
};

/// One rule set, read and compared; its folds share the distrust.
struct KnownRules {
  fastpath::UnderstoodRules understood;
  std::string name;
  mutable std::atomic<bool> trusted = true;
};

std::shared_ptr<const KnownRules> know(const RuleSet& rules, modsecurity::ModSecurity& engine) {
  auto known = std::make_shared<KnownRules>();
  known->name = rules.hash().substr(0, kHashShown);
  try {
    known->understood = fastpath::understand(rules, engine);
  } catch (const std::exception& error) {
    known->understood.refusal = std::string("the rules could not be read again: ") + error.what();
  }
  return known;
}

}  // namespace

struct SharedFastPath::Parts {
  std::shared_ptr<const KnownRules> rules;
  fastpath::BuiltFastPath built;
  std::vector<std::unique_ptr<fastpath::FastPath::Worker>> workers;
  std::shared_ptr<const NarrowedRules> narrowed;
};

SharedFastPath::SharedFastPath(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SharedFastPath::~SharedFastPath() = default;

const std::string& SharedFastPath::refusal() const noexcept { return parts_->built.refusal; }
fastpath::FastPath::Worker* SharedFastPath::worker(std::size_t thread) const noexcept {
  return thread < parts_->workers.size() ? parts_->workers[thread].get() : nullptr;
}
const std::shared_ptr<const NarrowedRules>& SharedFastPath::narrowed() const noexcept { return parts_->narrowed; }
bool SharedFastPath::trusted() const noexcept { return parts_->rules->trusted.load(std::memory_order_relaxed); }
bool SharedFastPath::distrust() const noexcept { return parts_->rules->trusted.exchange(false); }
const std::string& SharedFastPath::rule_set() const noexcept { return parts_->rules->name; }

std::string SharedFastPath::explain() const {
  return fastpath::explain(parts_->rules->understood, parts_->built, fastpath::Detail::summary);
}

struct FastPathCache::State {
  using Key = std::pair<std::string, fastpath::OverlayFold>;

  std::unique_ptr<ProbeEngine> engine;  // made when the first rule set comes
  std::size_t threads = 0;
  std::map<std::string, std::weak_ptr<const KnownRules>> rules;  // by hash
  std::map<Key, std::weak_ptr<const SharedFastPath>> paths;
  std::atomic<std::size_t> compilations = 0;  // read by others

  ProbeEngine& probe() {
    if (!engine) engine = std::make_unique<ProbeEngine>();
    return *engine;
  }

  std::shared_ptr<const KnownRules> known(const RuleSet& set) {
    auto& entry = rules[set.hash()];
    if (auto found = entry.lock()) return found;
    auto made = know(set, probe().instance());
    entry = made;
    return made;
  }

  [[nodiscard]] std::shared_ptr<const SharedFastPath> find(const Key& key) const {
    const auto found = paths.find(key);
    return found == paths.end() ? nullptr : found->second.lock();
  }

  [[nodiscard]] std::size_t folds_of(const std::string& hash) const {
    std::size_t count = 0;
    for (const auto& [key, path] : paths) {
      if (key.first == hash && !path.expired()) ++count;
    }
    return count;
  }
};

FastPathCache::FastPathCache() : state_(std::make_unique<State>()) {}
FastPathCache::~FastPathCache() = default;

void FastPathCache::set_threads(std::size_t threads) noexcept { state_->threads = threads; }
std::size_t FastPathCache::compilations() const noexcept { return state_->compilations; }
bool FastPathCache::knows_library() {
  return state_->probe().instance().whoAmI().starts_with("ModSecurity v" MODSECURITY_VERSION " ") &&
         std::string_view(MODSECURITY_VERSION) == "3.0.9";
}

std::shared_ptr<const SharedFastPath> FastPathCache::get(const std::shared_ptr<const RuleSet>& rules,
                                                         const Overlay* overlay) {
  State& state = *state_;
  auto known = state.known(*rules);
  State::Key key{rules->hash(), fastpath::fold_of(known->understood, overlay)};
  if (auto path = state.find(key)) return path;
  if (state.folds_of(key.first) >= kMostExact) {
    key.second = fastpath::fold_of(known->understood, overlay, fastpath::Removals::shared);
    if (auto path = state.find(key)) return path;
  }
  auto parts = std::make_unique<SharedFastPath::Parts>();
  if (state.folds_of(key.first) < kMostFolds) {
    ++state.compilations;
    try {
      parts->built = fastpath::build(known->understood, key.second);
    } catch (const std::exception& error) {
      parts->built.refusal = error.what();
    }
  } else {
    parts->built.refusal = "too many different overlays of one rule set";
  }
  if (parts->built.fast_path) {
    std::random_device random;
    for (std::size_t i = 0; i < state.threads; ++i) {
      const std::uint64_t seed = (std::uint64_t{random()} << 32U) | random();
      parts->workers.push_back(std::make_unique<fastpath::FastPath::Worker>(parts->built.fast_path, seed));
    }
  }
  if (parts->built.fast_path && parts->built.plan->not_narrowable.empty()) {
    parts->narrowed = std::make_shared<const NarrowedRules>(
        std::shared_ptr<modsecurity::RulesSet>(rules, rules->compiled().active.get()), *parts->built.plan);
  }
  parts->rules = std::move(known);
  auto made = std::make_shared<const SharedFastPath>(std::move(parts));
  std::erase_if(state.paths, [](const auto& entry) { return entry.second.expired(); });
  std::erase_if(state.rules, [](const auto& entry) { return entry.second.expired(); });
  state.paths[std::move(key)] = made;
  return made;
}

}  // namespace gatehouse::waf
