#include "proxy/config/variables.hpp"

#include <limits>

#include <fmt/format.h>

#include "proxy/base/ascii.hpp"

namespace gatehouse::config {
namespace {

bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// Variables are named without regard to case, as in nginx.
}  // namespace

VariableTable::Slot& VariableTable::slot(std::string_view name) {
  const auto found = slots_.find(name);
  if (found != slots_.end()) return found->second;
  if (slots_.size() >= std::numeric_limits<std::uint16_t>::max()) throw Invalid{"too many variables"};
  return slots_.emplace(std::string(name), Slot{static_cast<std::uint16_t>(slots_.size()), false, {}}).first->second;
}

void VariableTable::declare(std::string_view name) {
  const auto key = lower_case(name);
  if (settable_builtin(key)) return;
  // A plain builtin name stays builtin: defining it is an error, reported where it is defined.
  if (catalog_ != nullptr) {
    const auto builtin = catalog_->find(key);
    if (builtin && builtin->argument.empty()) return;
  }
  slot(key).defined = true;
}

bool VariableTable::declared(std::string_view name) const {
  const auto found = slots_.find(name);
  return found != slots_.end() && found->second.defined;
}

std::uint16_t VariableTable::define(std::string_view name, std::size_t word) {
  const auto key = lower_case(name);
  if (key.empty()) throw Invalid{"invalid variable name \"$\"", word, {}};
  if (catalog_ != nullptr && !slots_.contains(key)) {
    const auto builtin = catalog_->find(key);
    if (builtin && builtin->argument.empty()) {
      throw Invalid{fmt::format("the duplicate \"{}\" variable", name), word, "a builtin variable can't be redefined"};
    }
  }
  auto& entry = slot(key);
  entry.defined = true;
  return entry.index;
}

std::optional<VariableRef> VariableTable::settable_builtin(std::string_view name) const {
  if (name != "args" && name != "limit_rate") return std::nullopt;
  if (catalog_ == nullptr) return VariableRef{VariableRef::Kind::builtin, 0, std::string(name)};
  return catalog_->find(name);
}

VariableRef VariableTable::reference(std::string_view name, const Place& place) {
  const auto key = lower_case(name);
  const auto known = slots_.find(key);
  if (known == slots_.end() || !known->second.defined) {
    if (catalog_ == nullptr) return {VariableRef::Kind::builtin, 0, key};
    if (auto builtin = catalog_->find(key)) return *builtin;
  }
  auto& entry = slot(key);
  if (!entry.used) entry.used = place;
  return {VariableRef::Kind::user, entry.index, {}};
}

ComplexValue VariableTable::compile(std::string_view text, const Place& place, std::size_t word) {
  if (!has_variable(text)) return ComplexValue(std::string(text));
  std::vector<ComplexValue::Piece> pieces;
  std::string literal;
  const auto add_variable = [&](VariableRef variable) {
    if (!literal.empty()) pieces.push_back({std::move(literal), std::nullopt});
    literal.clear();
    pieces.push_back({{}, std::move(variable)});
  };
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      literal += text[i++];
      continue;
    }
    if (++i >= text.size()) throw Invalid{"invalid variable name", word, {}};
    if (text[i] >= '1' && text[i] <= '9') {
      add_variable({VariableRef::Kind::capture, static_cast<std::uint16_t>(text[i] - '0'), {}});
      ++i;
      continue;
    }
    const bool braced = text[i] == '{';
    if (braced) ++i;
    const auto start = i;
    while (i < text.size() && is_name(text[i])) ++i;
    const auto name = text.substr(start, i - start);
    if (braced) {
      if (i >= text.size() || text[i] != '}') {
        throw Invalid{fmt::format("the closing bracket in \"{}\" variable is missing", name), word, {}};
      }
      ++i;
      if (name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
        add_variable({VariableRef::Kind::capture, static_cast<std::uint16_t>(name[0] - '0'), {}});
        continue;
      }
    }
    if (name.empty()) throw Invalid{"invalid variable name", word, {}};
    add_variable(reference(name, place));
  }
  if (!literal.empty()) pieces.push_back({std::move(literal), std::nullopt});
  return {std::string(text), std::move(pieces)};
}

void VariableTable::report_unknown(Reporter& reporter) const {
  std::vector<std::string_view> names;
  if (catalog_ != nullptr) names = catalog_->names();
  for (const auto& [name, entry] : slots_) {
    if (entry.defined) names.push_back(name);
  }
  for (const auto& [name, entry] : slots_) {
    if (entry.defined || !entry.used) continue;
    reporter.error(*entry.used, fmt::format("unknown \"{}\" variable", name), did_you_mean(name, names));
  }
}

std::vector<std::string> VariableTable::slot_names() const {
  std::vector<std::string> names(slots_.size());
  for (const auto& [name, entry] : slots_) names[entry.index] = name;
  return names;
}

}  // namespace gatehouse::config
