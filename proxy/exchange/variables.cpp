#include "proxy/exchange/variables.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/geo.hpp"
#include "proxy/exchange/captures.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/real_address.hpp"

namespace gatehouse::exchange {
namespace {

class Catalog final : public config::VariableCatalog {
 public:
  Catalog() {
    for (std::size_t i = 0; i < all_variables().size(); ++i) rows_.emplace(all_variables()[i].name, i);
  }

  std::optional<config::VariableRef> find(std::string_view name) const override {
    if (const auto row = rows_.find(name); row != rows_.end() && !is_family(name)) return reference(row->second, {});
    // The longest family that begins the name: upstream_http_x belongs to upstream_http_.
    for (std::size_t length = name.size() - 1; length > 0; --length) {
      if (name[length - 1] != '_') continue;
      const auto row = rows_.find(name.substr(0, length));
      if (row != rows_.end()) return reference(row->second, name.substr(length));
    }
    return std::nullopt;
  }

  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> names;
    for (const auto& row : all_variables()) names.push_back(row.name);
    return names;
  }

 private:
  static bool is_family(std::string_view name) { return name.ends_with('_'); }
  static config::VariableRef reference(std::size_t index, std::string_view argument) {
    return {config::VariableRef::Kind::builtin, static_cast<std::uint16_t>(index), std::string(argument)};
  }
  std::unordered_map<std::string_view, std::size_t> rows_;
};

constexpr std::uint8_t kDeepestMap = 32;

// nginx's `proxy` of geo: an address that is a trusted proxy's gives way to the one that X-Forwarded-For names.
const config::ComplexValue* find_behind_proxies(const config::GeoTable& geo, std::string_view key, Exchange& exchange) {
  auto address = config::parse_ip(key, 0);
  if (address && match_network(geo.proxies, *address) != nullptr) {
    std::string list;
    for (const auto& field : exchange.head.fields) {
      if (field.id == http::FieldId::x_forwarded_for) list.append(list.empty() ? "" : ",").append(field.value);
    }
    if (const auto behind = address_from_list(list, geo.proxies, geo.proxy_recursive)) address = behind;
  }
  return geo.find(address ? *address : SocketAddress::ipv4({255, 255, 255, 255}, 0));
}

// The value of a map, found when it is first asked for and then kept, unless the map is volatile.
std::optional<std::string_view> evaluate_map(const config::ValueTable& map, std::uint16_t slot, Exchange& exchange) {
  if (exchange.map_depth >= kDeepestMap) {
    exchange.log(LogLevel::error, fmt::format("cycle while evaluating variable \"{}\"",
                                              exchange.generation->shared->config->user_variables[slot]));
    return std::nullopt;
  }
  ++exchange.map_depth;
  const std::string_view key = evaluate(map.source, exchange);
  const config::Regex* regex = nullptr;
  const config::GeoTable* geo = map.as_geo();
  const config::ComplexValue* value = geo != nullptr && !geo->proxies.empty() ? find_behind_proxies(*geo, key, exchange)
                                                                              : map.find(key, exchange.captures, regex);
  if (regex != nullptr) keep_captures(exchange, *regex, key);
  const std::string_view text = value == nullptr ? std::string_view("") : evaluate(*value, exchange);
  --exchange.map_depth;
  if (!map.volatile_value) exchange.set_variable(slot, text);
  return text;
}

std::optional<std::string_view> evaluate_user_variable(std::uint16_t slot, Exchange& exchange) {
  if (slot < exchange.user_variables.size() && exchange.user_variables[slot].data() != nullptr) {
    return exchange.user_variables[slot];
  }
  const auto& maps = exchange.generation->shared->config->variable_maps;
  if (slot < maps.size() && maps[slot]) return evaluate_map(*maps[slot], slot, exchange);
  const auto& set_somewhere = exchange.generation->shared->config->set_by_set;
  if (slot >= set_somewhere.size() || !set_somewhere[slot]) return std::nullopt;
  if (exchange.settings().uninitialized_variable_warn) {
    exchange.log(LogLevel::warn, fmt::format("using uninitialized \"{}\" variable",
                                             exchange.generation->shared->config->user_variables[slot]));
  }
  exchange.set_variable(slot, "");  // and so it is told once
  return "";
}

// nginx's rule for $http_NAME: names compare without case, '-' is written '_'.
bool matches_variable(std::string_view field, std::string_view argument) {
  return field.size() == argument.size() &&
         std::equal(field.begin(), field.end(), argument.begin(),
                    [](char f, char a) { return (f == '-' ? '_' : to_lower(f)) == to_lower(a); });
}

}  // namespace

std::optional<std::string_view> joined_fields(Exchange& exchange, const http::Fields& fields, std::string_view name,
                                              std::string_view separator) {
  std::optional<std::string_view> value;
  for (const auto& field : fields) {
    if (!matches_variable(field.name, name)) continue;
    value = value ? exchange.arena.concat(*value, separator, field.value) : field.value;
  }
  return value;
}

std::span<const VariableRow> all_variables() {
  static const std::vector<VariableRow> rows = [] {
    std::vector<VariableRow> all;
    for (const auto group : {request_variables(), response_variables(), upstream_variables(), connection_variables()}) {
      all.insert(all.end(), group.begin(), group.end());
    }
    return all;
  }();
  return rows;
}

const config::VariableCatalog& variable_catalog() {
  static const Catalog catalog;
  return catalog;
}

std::optional<std::string_view> evaluate(const config::VariableRef& variable, Exchange& exchange) {
  switch (variable.kind) {
    case config::VariableRef::Kind::builtin: return all_variables()[variable.index].get(exchange, variable.argument);
    case config::VariableRef::Kind::capture: {
      const auto& offsets = exchange.captures.offsets;
      const std::size_t at = std::size_t{variable.index} * 2;
      if (at + 1 >= offsets.size() || offsets[at] == std::string_view::npos) return std::nullopt;
      return exchange.captured.substr(offsets[at], offsets[at + 1] - offsets[at]);
    }
    case config::VariableRef::Kind::user: return evaluate_user_variable(variable.index, exchange);
  }
  return std::nullopt;
}

std::string_view evaluate(const config::ComplexValue& value, Exchange& exchange) {
  if (value.is_constant()) return value.constant();
  const auto& pieces = value.pieces();
  if (pieces.size() == 1) return evaluate(*pieces.front().variable, exchange).value_or(std::string_view{});
  boost::container::small_vector<std::string_view, 8> parts;
  std::size_t size = 0;
  for (const auto& piece : pieces) {
    const std::string_view part = piece.variable ? evaluate(*piece.variable, exchange).value_or(std::string_view{})
                                                 : std::string_view(piece.literal);
    parts.push_back(part);
    size += part.size();
  }
  if (size == 0) return {};
  char* const start = exchange.arena.allocate(size);
  char* at = start;
  for (const std::string_view part : parts) {
    std::copy(part.begin(), part.end(), at);
    at += part.size();
  }
  return {start, size};
}

bool is_true(const config::ComplexValue& value, Exchange& exchange) {
  const std::string_view text = evaluate(value, exchange);
  return !text.empty() && text != "0";
}

bool any_is_true(std::span<const config::ComplexValue> values, Exchange& exchange) {
  return std::ranges::any_of(values, [&](const auto& value) { return is_true(value, exchange); });
}

bool all_are_true(std::span<const config::ComplexValue> values, Exchange& exchange) {
  return std::ranges::all_of(values, [&](const auto& value) { return is_true(value, exchange); });
}

}  // namespace gatehouse::exchange
