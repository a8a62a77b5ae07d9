#include <atomic>
#include <utility>

#include "waf/rule_loader.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::waf {

struct RuleSetCache::State {
  RuleSetValidator validator;
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<const RuleSet>> sets;  // by hash
  std::atomic<std::size_t> compilations = 0;
  std::size_t reloads = 0;

  std::shared_ptr<const RuleSet> find(const std::string& hash) {
    const auto found = sets.find(hash);
    return found == sets.end() ? nullptr : found->second.lock();
  }
};

RuleSetCache::RuleSetCache(RuleSetValidator validator) : state_(std::make_unique<State>()) {
  state_->validator = std::move(validator);
}

RuleSetCache::~RuleSetCache() = default;

std::size_t RuleSetCache::compilations() const noexcept { return state_->compilations; }

void RuleSetCache::begin_reload() {
  const std::scoped_lock lock(state_->mutex);
  ++state_->reloads;
}

std::shared_ptr<const RuleSet> RuleSetCache::compile(const RuleSetSource& source) {
  const std::scoped_lock lock(state_->mutex);
  std::vector<PreparedLevel> levels;
  std::string hash;
  for (const RuleLevel& level : source.levels) {
    if (level.empty()) continue;
    levels.push_back(prepare_level(level, hash, levels.size(), state_->reloads));
    hash = levels.back().hash;
  }
  if (auto found = state_->find(hash)) return found;
  if (state_->validator && !levels.empty()) state_->validator(source);

  std::shared_ptr<const RuleSet> set;
  if (levels.empty()) set = empty_rule_set();
  for (PreparedLevel& level : levels) {
    const std::string level_hash = level.hash;
    auto found = state_->find(level_hash);
    if (!found) {
      found = compile_level(std::move(level), set);
      ++state_->compilations;
      state_->sets[level_hash] = found;
    }
    set = std::move(found);
  }
  state_->sets[hash] = set;
  std::erase_if(state_->sets, [](const auto& entry) { return entry.second.expired(); });
  return set;
}

}  // namespace gatehouse::waf
