// Configured strings of the stream block: maps, captures, named variables.
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "proxy/stream/session.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {
namespace {

constexpr std::uint8_t kDeepestMap = 32;

class Catalog final : public config::VariableCatalog {
 public:
  Catalog() {
    for (std::size_t i = 0; i < all_variables().size(); ++i) rows_.emplace(all_variables()[i].name, i);
  }
  std::optional<config::VariableRef> find(std::string_view name) const override {
    const auto reference = [](std::size_t index, std::string_view argument) {
      return config::VariableRef{config::VariableRef::Kind::builtin, static_cast<std::uint16_t>(index),
                                 std::string(argument)};
    };
    if (const auto row = rows_.find(name); row != rows_.end()) {
      return all_variables()[row->second].get != nullptr ? std::optional(reference(row->second, {})) : std::nullopt;
    }
    for (std::size_t i = 0; i < all_variables().size(); ++i) {
      const VariableRow& row = all_variables()[i];
      if (row.get_named != nullptr && name.starts_with(row.name)) return reference(i, name.substr(row.name.size()));
    }
    return std::nullopt;
  }
  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> names;
    for (const auto& row : all_variables()) names.push_back(row.name);
    return names;
  }

 private:
  std::unordered_map<std::string_view, std::size_t> rows_;
};

std::optional<std::string_view> capture(const Session& session, std::size_t group) {
  const auto& offsets = session.captures.offsets;
  if (group * 2 + 1 >= offsets.size() || offsets[group * 2] == std::string_view::npos) return std::nullopt;
  return session.captured.substr(offsets[group * 2], offsets[group * 2 + 1] - offsets[group * 2]);
}

// The value of a map, found when it is first asked for and then kept, unless the map is volatile.
template <class Map>
std::optional<std::string_view> evaluate_map(const Map& map, std::uint16_t slot, Session& session) {
  if (session.map_depth >= kDeepestMap) {
    session.log(LogLevel::error, fmt::format("cycle while evaluating variable \"{}\"",
                                             session.generation->shared->config->stream_variables[slot]));
    return std::nullopt;
  }
  ++session.map_depth;
  const std::string_view key = evaluate(map.source, session);
  const config::Regex* regex = nullptr;
  config::Regex::Captures found;
  const config::ComplexValue* value = map.find(key, found, regex);
  if (regex != nullptr) {
    session.captured = key;
    session.captures = std::move(found);
    for (std::size_t i = 0; i < regex->slots().size(); ++i) {
      if (const auto text = capture(session, regex->names()[i].second)) session.set_variable(regex->slots()[i], *text);
    }
  }
  const std::string_view text = value == nullptr ? std::string_view("") : evaluate(*value, session);
  --session.map_depth;
  if (!map.volatile_value) session.set_variable(slot, text);
  return text;
}

}  // namespace

const config::VariableCatalog& variable_catalog() {
  static const Catalog catalog;
  return catalog;
}

std::optional<std::string_view> evaluate(const config::VariableRef& variable, Session& session) {
  switch (variable.kind) {
    case config::VariableRef::Kind::builtin: {
      const VariableRow& row = all_variables()[variable.index];
      return row.get != nullptr ? row.get(session) : row.get_named(session, variable.argument);
    }
    case config::VariableRef::Kind::capture: return capture(session, variable.index);
    case config::VariableRef::Kind::user: break;
  }
  const std::uint16_t slot = variable.index;
  if (slot < session.variables.size() && session.variables[slot].data() != nullptr) return session.variables[slot];
  const auto& maps = session.generation->shared->config->stream_variable_maps;
  if (slot < maps.size() && maps[slot]) return evaluate_map(*maps[slot], slot, session);
  return std::nullopt;
}

std::string_view evaluate(const config::ComplexValue& value, Session& session) {
  if (value.is_constant()) return value.constant();
  const auto& pieces = value.pieces();
  if (pieces.size() == 1) return evaluate(*pieces.front().variable, session).value_or(std::string_view{});
  std::string text;
  for (const auto& piece : pieces) {
    if (piece.variable)
      text += evaluate(*piece.variable, session).value_or(std::string_view{});
    else
      text += piece.literal;
  }
  return session.arena.copy(text);
}

bool is_true(const config::ComplexValue& value, Session& session) {
  const std::string_view text = evaluate(value, session);
  return !text.empty() && text != "0";
}

}  // namespace gatehouse::stream
