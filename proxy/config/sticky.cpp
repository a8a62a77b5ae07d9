// `sticky` inside `upstream`.
#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "proxy/config/blocks.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::config {
namespace {

ComplexValue read_variable(const Use& use, std::size_t word, std::string_view text) {
  if (!text.starts_with('$')) {
    throw Invalid{fmt::format("invalid variable name \"{}\"", text), word, "a variable, such as $cookie_session"};
  }
  return read_value(use, word, text);
}

bool is_same_site(std::string_view text) {
  constexpr std::array<std::string_view, 3> kWords{"strict", "lax", "none"};
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) { return http::iequals(text, word); });
}

void read_cookie(const Use& use, Sticky& sticky) {
  if (use[2].empty()) throw Invalid{"\"sticky\" directive empty cookie name", 2, {}};
  sticky.cookie = use[2];
  for (std::size_t i = 3; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const std::string_view name = text.substr(0, text.find('='));
    const std::string_view value = text.substr(std::min(name.size() + 1, text.size()));
    const auto once = [&](bool given) {
      if (given) throw Invalid{fmt::format("\"sticky\" directive parameter \"{}\" is duplicate", name), i, {}};
    };
    const auto filled = [&] {
      if (value.empty()) throw Invalid{fmt::format("\"sticky\" directive no value for \"{}\"", name), i, {}};
    };
    if (name == "domain" && name != text) {
      once(sticky.domain.has_value());
      filled();
      sticky.domain = read_value(use, i, value);
    } else if (name == "path" && name != text) {
      once(!sticky.path.empty());
      filled();
      sticky.path = value;
    } else if (name == "expires" && name != text) {
      once(sticky.expires.has_value());
      const auto time = parse_time(value, TimeUnit::seconds);
      if (!time && value != "max") {
        throw Invalid{"\"sticky\" directive invalid \"expires\" parameter value", i, "such as 1h, or max"};
      }
      sticky.expires = time ? std::chrono::duration_cast<std::chrono::seconds>(*time).count()
                            : std::numeric_limits<std::int64_t>::max();
    } else if (text == "httponly") {
      once(sticky.httponly);
      sticky.httponly = true;
    } else if (text == "secure") {
      once(sticky.secure);
      sticky.secure = true;
    } else if (name == "samesite" && name != text) {
      once(sticky.samesite.has_value());
      sticky.samesite = read_value(use, i, value);
      if (sticky.samesite->is_constant() && !is_same_site(value)) {
        throw Invalid{"\"sticky\" directive invalid \"samesite\" parameter value", i,
                      "strict, lax, none or a variable"};
      }
    } else {
      throw Invalid{fmt::format("unknown parameter \"{}\"", text), i,
                    "expires=, domain=, path=, httponly, secure or samesite="};
    }
  }
  sticky.lookup.push_back(read_value(use, 2, fmt::format("$cookie_{}", sticky.cookie)));
}

void read_zone(const Use& use, std::size_t word, std::string_view value, Sticky& sticky) {
  const std::size_t colon = value.find(':');
  const auto fail = [&](std::string_view why) { refuse(use, word, why, "zone=NAME:SIZE, such as zone=sessions:1m"); };
  if (!sticky.zone.empty()) fail("duplicate zone");
  if (colon == std::string_view::npos) fail("zone size is not specified");
  if (colon == 0) fail("zone name is not specified");
  const auto size = parse_size(value.substr(colon + 1));
  if (!size) fail("invalid zone size");
  if (*size < ByteCount{8} * 4096) fail("zone is too small");
  sticky.zone = value.substr(0, colon);
  sticky.zone_size = *size;
  for (const auto& upstream : use.level.binder->config().http.upstreams) {
    if (upstream.sticky && upstream.sticky->zone == sticky.zone) {
      throw Invalid{
          fmt::format("sticky zone \"{}\" is already used in upstream \"{}\"", sticky.zone, upstream.name), word, {}};
    }
  }
}

void read_learn(const Use& use, Sticky& sticky) {
  bool has_timeout = false;
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(std::min(equals + 1, text.size()));
    if (name == "zone" && name != text) {
      read_zone(use, i, value, sticky);
    } else if (name == "timeout" && name != text) {
      if (has_timeout) refuse(use, i, "duplicate timeout");
      const auto time = parse_time(value, TimeUnit::milliseconds);
      if (!time || time->count() == 0) refuse(use, i, "invalid timeout", "such as 10m");
      sticky.timeout = *time;
      has_timeout = true;
    } else if (name == "create" || name == "lookup") {
      if (!value.starts_with('$')) refuse(use, i, fmt::format("missing variable in the \"{}\" parameter", name));
      (name == "create" ? sticky.create : sticky.lookup).push_back(read_variable(use, i, value));
    } else if (text == "header") {
      sticky.after_head = true;
    } else {
      throw Invalid{fmt::format("unknown parameter \"{}\"", text), i, "create=, lookup=, zone=, timeout= or header"};
    }
  }
  if (sticky.lookup.empty()) refuse(use, 0, "\"lookup\" parameter is not specified");
  if (sticky.create.empty()) refuse(use, 0, "\"create\" parameter is not specified");
  if (sticky.zone.empty()) refuse(use, 0, "\"zone\" parameter is not specified");
}

}  // namespace

void set_sticky(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto sticky = std::make_shared<Sticky>();
  if (use[1] == "cookie") {
    read_cookie(use, *sticky);
  } else if (use[1] == "route") {
    sticky->kind = Sticky::Kind::route;
    for (std::size_t i = 2; i <= use.count(); ++i) sticky->lookup.push_back(read_variable(use, i, use[i]));
  } else if (use[1] == "learn") {
    sticky->kind = Sticky::Kind::learn;
    read_learn(use, *sticky);
  } else {
    throw Invalid{fmt::format("unknown parameter \"{}\"", use[1]), 1, "cookie, route or learn"};
  }
  use.level.upstream->sticky = std::move(sticky);
}

std::string show_sticky(const Level& level) {
  if (level.upstream == nullptr || !level.upstream->sticky) return "";
  const Sticky& sticky = *level.upstream->sticky;
  std::string text;
  const auto add = [&](std::string_view name, const std::vector<ComplexValue>& values) {
    for (const auto& value : values) text += fmt::format(" {}{}", name, value.source());
  };
  switch (sticky.kind) {
    case Sticky::Kind::cookie:
      text = fmt::format("cookie {}", sticky.cookie);
      if (sticky.expires == std::numeric_limits<std::int64_t>::max()) {
        text += " expires=max";
      } else if (sticky.expires) {
        text += fmt::format(" expires={}s", *sticky.expires);
      }
      if (sticky.domain) text += " domain=" + sticky.domain->source();
      if (!sticky.path.empty()) text += " path=" + sticky.path;
      if (sticky.httponly) text += " httponly";
      if (sticky.secure) text += " secure";
      if (sticky.samesite) text += " samesite=" + sticky.samesite->source();
      break;
    case Sticky::Kind::route:
      text = "route";
      add("", sticky.lookup);
      break;
    case Sticky::Kind::learn:
      text = "learn";
      add("create=", sticky.create);
      add("lookup=", sticky.lookup);
      text += fmt::format(" zone={}:{} timeout={}", sticky.zone, sticky.zone_size, format_time(sticky.timeout));
      if (sticky.after_head) text += " header";
      break;
  }
  return text;
}

}  // namespace gatehouse::config
