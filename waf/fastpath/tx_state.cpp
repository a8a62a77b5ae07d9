#include "waf/fastpath/tx_state.hpp"

#include <algorithm>

#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {

bool named_by(std::string_view name, const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [name](const std::string& candidate) {
    if (candidate.ends_with('*')) return name.starts_with(std::string_view(candidate).substr(0, candidate.size() - 1));
    return name == candidate;
  });
}

TxValue TxState::value(std::string_view name) const {
  const auto key = lower_case(name);
  if (const auto pinned = pinned_.find(key); pinned != pinned_.end()) return {pinned->second, {}};
  const auto found = values_.find(key);
  TxValue value = found == values_.end() ? TxValue{} : found->second;
  for (const auto& [prefix, producer] : prefixes_) {
    if (key.starts_with(prefix)) value.producers.push_back(producer);
  }
  return value;
}

void TxState::set(std::string_view name, TxValue value) { values_[lower_case(name)] = std::move(value); }

void TxState::produce_with_prefix(std::string_view prefix, std::uint32_t producer) {
  prefixes_.emplace_back(lower_case(prefix), producer);
}

bool TxState::untouched(std::string_view prefix) const {
  const auto beginning = lower_case(prefix);
  const auto begins = [&](const auto& member) { return member.first.starts_with(beginning); };
  const bool exists =
      std::ranges::any_of(values_, [&](const auto& member) { return begins(member) && member.second != TxValue{}; });
  const bool may_exist = std::ranges::any_of(prefixes_, [&](const auto& other) {
    return other.first.starts_with(beginning) || beginning.starts_with(other.first);
  });
  return !exists && !may_exist && std::ranges::none_of(pinned_, begins);
}

void TxState::pin(std::string_view name, std::string text) { pinned_[lower_case(name)] = std::move(text); }

void TxState::forget_captures() {
  // The library keeps the groups of a match under their numbers, and never removes them.
  for (int group = 0; group < 10; ++group) values_[std::to_string(group)] = {std::nullopt, {}, true};
}

std::vector<std::pair<std::string, TxValue>> TxState::members() const {
  std::vector<std::pair<std::string, TxValue>> result;
  for (const auto& [name, value] : values_) {
    if (!pinned_.contains(name) && value != TxValue{}) result.emplace_back(name, value);
  }
  for (const auto& [name, text] : pinned_) result.emplace_back(name, TxValue{text, {}});
  return result;
}

std::optional<TextTemplate> parse_template(std::string_view text) {
  TextTemplate pieces;
  while (!text.empty()) {
    const auto macro = text.find("%{");
    if (macro > 0) pieces.push_back({false, std::string(text.substr(0, macro)), {}});
    if (macro == std::string_view::npos) break;
    const auto end = text.find('}', macro);
    if (end == std::string_view::npos) return std::nullopt;
    auto body = text.substr(macro + 2, end - macro - 2);
    const auto separator = body.find_first_of(".:");
    const auto collection = body.substr(0, separator);
    TextPiece piece{true, {}, {}};
    bool found = false;
    for (std::size_t i = 0; i < variable_kind_count && !found; ++i) {
      piece.kind = static_cast<VariableKind>(i);
      found = equal_ignoring_case(name(piece.kind), collection);
    }
    if (!found) return std::nullopt;
    if (separator != std::string_view::npos) {
      piece.text = body.substr(separator + 1);
      if (piece.text.empty() || piece.text.front() == '/' || piece.text.front() == '\'') return std::nullopt;
    }
    pieces.push_back(std::move(piece));
    text.remove_prefix(end + 1);
  }
  return pieces;
}

TextTemplate fold_template(const TextTemplate& text, const TxState& state, const std::vector<std::string>& run_time) {
  TextTemplate result;
  for (const auto& piece : text) {
    TextPiece folded = piece;
    folded.number = piece.is_macro && piece.kind == VariableKind::tx && state.is_number(piece.text);
    if (piece.is_macro && piece.kind == VariableKind::tx && !piece.text.empty() &&
        !named_by(lower_case(piece.text), run_time)) {
      const auto value = state.value(piece.text);
      // A member that does not exist expands to nothing.
      if (value.is_constant()) folded = {false, value.constant.value_or(""), {}, false};
    }
    if (!folded.is_macro && !result.empty() && !result.back().is_macro) {
      result.back().text += folded.text;
    } else {
      result.push_back(std::move(folded));
    }
  }
  return result;
}

std::optional<std::string> constant_text(const TextTemplate& text) {
  std::string result;
  for (const auto& piece : text) {
    if (piece.is_macro) return std::nullopt;
    result += piece.text;
  }
  return result;
}

}  // namespace gatehouse::waf::fastpath
