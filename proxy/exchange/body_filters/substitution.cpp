// sub_filter.
#include <algorithm>
#include <array>
#include <vector>

#include "proxy/config/settings/body_filters.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::exchange {
namespace {

unsigned char folded(char c) { return static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

/// Replaces the leftmost match; of several at one place, the one that was configured first. Holds back what may be the beginning
/// of a match.
class Substitution : public BodyFilter {
 public:
  struct Rule {
    std::string match;
    std::string_view replacement;
    bool spent = false;
  };

  Substitution(std::vector<Rule> rules, bool once) : rules_(std::move(rules)), once_(once) {
    for (const auto& rule : rules_) longest_ = std::max(longest_, rule.match.size());
    find_first_bytes();
  }

  Result<void> process(std::string_view in, bool last, std::string& out) override {
    held_.append(in);
    const std::string_view text = held_;
    const std::size_t margin = last ? 0 : longest_ - 1;
    std::size_t at = 0;
    std::size_t copied = 0;
    while (at < text.size() && (last || text.size() - at > margin)) {
      if (!first_[folded(text[at])]) {
        ++at;
        continue;
      }
      Rule* const rule = rule_at(text.substr(at));
      if (rule == nullptr) {
        ++at;
        continue;
      }
      out.append(text.substr(copied, at - copied)).append(rule->replacement);
      at += rule->match.size();
      copied = at;
      if (once_) {
        rule->spent = true;
        find_first_bytes();
      }
    }
    out.append(text.substr(copied, at - copied));
    held_.erase(0, at);
    return Result<void>{};
  }

 private:
  Rule* rule_at(std::string_view text) {
    for (auto& rule : rules_) {
      if (!rule.spent && text.size() >= rule.match.size() &&
          http::iequals(text.substr(0, rule.match.size()), rule.match))
        return &rule;
    }
    return nullptr;
  }
  void find_first_bytes() {
    first_.fill(false);
    for (const auto& rule : rules_) {
      if (!rule.spent) first_[folded(rule.match.front())] = true;
    }
  }

  std::vector<Rule> rules_;
  bool once_;
  std::size_t longest_ = 1;
  std::array<bool, 256> first_{};  ///< bytes in lower case that a match may begin with
  std::string held_;
};

}  // namespace

std::unique_ptr<BodyFilter> make_substitution(Exchange& exchange) {
  const auto& settings = exchange.settings().body_filters;
  if (!settings || settings->sub_filter.empty()) return nullptr;
  if (exchange.response.framing.kind == http::BodyKind::none && !exchange.is_head()) return nullptr;
  if (!settings->sub_filter_types.contains(content_type_of(exchange))) return nullptr;
  std::vector<Substitution::Rule> rules;
  for (const auto& rule : settings->sub_filter) {
    const std::string_view match = evaluate(rule.match, exchange);
    if (!match.empty()) rules.push_back({std::string(match), evaluate(rule.replacement, exchange)});
  }
  if (rules.empty()) return nullptr;
  forget_length(exchange);
  exchange.allow_ranges = false;
  if (settings->sub_filter_last_modified) {
    weaken_etag(exchange);
  } else {
    exchange.response.fields.remove(http::FieldId::last_modified);
    exchange.response.fields.remove(http::FieldId::etag);
  }
  return std::make_unique<Substitution>(std::move(rules), settings->sub_filter_once);
}

}  // namespace gatehouse::exchange
