// charset, source_charset, charset_map.
#include <algorithm>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/body_filters.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::exchange {
namespace {

/// From a single-byte charset.
class Recode : public BodyFilter {
 public:
  explicit Recode(const config::CharsetTable& table) : table_(table) {}
  Result<void> process(std::string_view in, bool, std::string& out) override {
    for (const char c : in) out.append(table_[static_cast<unsigned char>(c)]);
    return Result<void>{};
  }

 private:
  const config::CharsetTable& table_;
};

/// From UTF-8 into a single-byte charset; what it lacks becomes "?" (nginx writes &#NNN; there).
class RecodeFromUtf8 : public BodyFilter {
 public:
  explicit RecodeFromUtf8(const std::map<std::string, char, std::less<>>& table) : table_(table) {}

  Result<void> process(std::string_view in, bool last, std::string& out) override {
    held_.append(in);
    std::string_view text = held_;
    while (!text.empty()) {
      const auto lead = static_cast<unsigned char>(text.front());
      std::size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
      if (size > text.size()) {
        if (!last) break;
        size = text.size();
      }
      append_character(text.substr(0, size), out);
      text.remove_prefix(size);
    }
    held_.erase(0, held_.size() - text.size());
    return Result<void>{};
  }

 private:
  void append_character(std::string_view bytes, std::string& out) const {
    if (bytes.size() == 1 && static_cast<unsigned char>(bytes.front()) < 0x80) {
      out.append(bytes);
      return;
    }
    if (const auto found = table_.find(bytes); found != table_.end()) {
      out.push_back(found->second);
      return;
    }
    if (bytes.size() < 2) {
      out.push_back('?');
      return;
    }
    std::uint32_t code = static_cast<unsigned char>(bytes.front()) & (0xffu >> (bytes.size() + 1));
    for (const char c : bytes.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3fu);
    out.append("&#").append(std::to_string(code)).append(";");
  }

  const std::map<std::string, char, std::less<>>& table_;
  std::string held_;
};

// The charset parameter of a Content-Type, and where it begins (at its ';').
std::optional<std::string_view> charset_parameter(std::string_view type, std::size_t& begins) {
  const std::string lower = lower_case(type);
  const std::size_t at = lower.find("charset=");
  if (at == std::string::npos || at == 0) return std::nullopt;
  begins = type.rfind(';', at);
  if (begins == std::string_view::npos) begins = at;
  std::string_view value = type.substr(at + 8);
  value = value.substr(0, value.find(';'));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  while (value.ends_with(' ')) value.remove_suffix(1);
  return value;
}

}  // namespace

std::unique_ptr<BodyFilter> make_charset(Exchange& exchange) {
  const auto& settings = exchange.settings().body_filters;
  const std::string_view told = exchange.accel_charset;
  if (!settings && told.empty()) return nullptr;
  static const config::BodyFilterSettings kDefaults;
  const auto& charsets = settings ? *settings : kDefaults;
  std::string_view wanted = charsets.charset ? evaluate(*charsets.charset, exchange) : std::string_view{};
  if (!told.empty() && told != "off") wanted = told;
  if (wanted.empty() || wanted == "off") return nullptr;
  auto& fields = exchange.response.fields;
  const auto type = fields.value(http::FieldId::content_type);
  if (!type || type->empty()) return nullptr;
  const auto coding = fields.value(http::FieldId::content_encoding);
  if (coding && !coding->empty()) return nullptr;
  std::size_t begins = type->size();
  const auto present = charset_parameter(*type, begins);
  std::string_view source = charsets.source_charset ? evaluate(*charsets.source_charset, exchange) : std::string_view{};
  if (present) {
    if (!charsets.override_charset) return nullptr;
    source = *present;
  } else if (!charsets.charset_types.contains(*type)) {
    return nullptr;
  }
  if (http::iequals(source, wanted)) source = {};
  const auto& maps = exchange.generation->shared->config->http.charset_maps;
  const std::pair<std::string, std::string> key{lower_case(source), lower_case(wanted)};
  std::unique_ptr<BodyFilter> filter;
  if (!source.empty() && maps) {
    if (const auto found = maps->tables.find(key); found != maps->tables.end()) {
      filter = std::make_unique<Recode>(found->second);
    } else if (const auto sequences = maps->from_utf8.find(key); sequences != maps->from_utf8.end()) {
      filter = std::make_unique<RecodeFromUtf8>(sequences->second);
    }
  }
  if (present && !filter) return nullptr;
  fields.set(
      "Content-Type",
      exchange.arena.concat(type->substr(0, begins), std::string_view("; charset="), exchange.arena.copy(wanted)),
      http::FieldId::content_type);
  if (filter && (key.first == "utf-8" || key.second == "utf-8")) {
    forget_length(exchange);
    exchange.allow_ranges = false;
  }
  return filter;
}

}  // namespace gatehouse::exchange
