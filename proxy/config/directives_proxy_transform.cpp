// Rows of what proxying changes: redirects, cookies, bodies, ignored fields, where connections come from.
#include <array>

#include "proxy/config/endpoint.hpp"
#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
using P = ProxyTransformSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<std::uint32_t>, 9> kIgnored{{{"X-Accel-Redirect", ignore_x_accel_redirect},
                                                         {"X-Accel-Expires", ignore_x_accel_expires},
                                                         {"X-Accel-Limit-Rate", ignore_x_accel_limit_rate},
                                                         {"X-Accel-Buffering", ignore_x_accel_buffering},
                                                         {"X-Accel-Charset", ignore_x_accel_charset},
                                                         {"Expires", ignore_expires},
                                                         {"Cache-Control", ignore_cache_control},
                                                         {"Set-Cookie", ignore_set_cookie},
                                                         {"Vary", ignore_vary}}};

ReplaceRule read_rule(const Use& use) {
  ReplaceRule rule;
  if (use[1].starts_with('~')) {
    const bool caseless = use[1].starts_with("~*");
    rule.regex = use.level.binder->compile_regex(use[1].substr(caseless ? 2 : 1), caseless, 1);
    rule.from = ComplexValue(use[1]);
  } else {
    rule.from = read_value(use, 1);
  }
  rule.to = read_value(use, 2);
  return rule;
}

std::string show_rules(const std::vector<ReplaceRule>& rules) {
  std::string text;
  for (const auto& rule : rules)
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", rule.from.source(), rule.to.source());
  return text.empty() ? "off" : text;
}

void set_redirect(const Use& use) {
  auto& settings = *use.level.settings;
  const auto& text = use[1];
  if (use.count() == 1 && (text == "off" || text == "default" || text == "false")) {
    if (text == "false") use.level.binder->warn(use.statement, 1, "invalid parameter \"false\", use \"off\" instead");
    if (text != "default") {
      if (!use.first) refuse(use, 0, "is duplicate");
      settings.proxy_redirect = L::Redirect::off;
      settings.proxy_redirect_rules.reset();
      return;
    }
    if (use.first) {
      settings.proxy_redirect = L::Redirect::standard;
      settings.proxy_redirect_rules.reset();
      return;
    }
    settings.proxy_redirect_standard_too = true;
    return;
  }
  if (use.count() == 1) throw Invalid{fmt::format("invalid parameter \"{}\"", text), 1, "off, default, or FROM TO"};
  const bool standard_before = !use.first && settings.proxy_redirect == L::Redirect::standard;
  if (use.first) settings.proxy_redirect_standard_too = false;
  append<&L::proxy_redirect_rules>(use, read_rule(use));
  settings.proxy_redirect_standard_too |= standard_before;
  settings.proxy_redirect = L::Redirect::rules;
}
std::string show_redirect(const Level& level) {
  if (level.settings == nullptr) return "";
  switch (level.settings->proxy_redirect) {
    case L::Redirect::off: return "off";
    case L::Redirect::standard: return "default";
    case L::Redirect::rules: break;
  }
  return show_rules(*level.settings->proxy_redirect_rules);
}

template <auto Member>
constexpr Action cookie_rules(std::string_view syntax) {
  return {[](const Use& use) {
            auto& list = target<P>(use.level).*Member;
            if (use.count() == 1) {
              if (use[1] != "off")
                throw Invalid{fmt::format("invalid parameter \"{}\"", use[1]), 1, "off, or two parameters"};
              if (!use.first) refuse(use, 0, "is duplicate");
              list.clear();
              return;
            }
            if (use.first) list.clear();
            list.push_back(read_rule(use));
          },
          [](const Level& level) -> std::string {
            const auto* group = read_target<P>(level);
            return group == nullptr ? "" : show_rules(group->*Member);
          },
          syntax};
}

void add_cookie_flags(const Use& use) {
  auto& list = target<P>(use.level).cookie_flags;
  if (use.first) list.clear();
  if (use.count() == 1) {
    if (use[1] == "off") {
      if (!use.first) refuse(use, 0, "is duplicate");
      return;
    }
    throw Invalid{fmt::format("invalid parameter \"{}\"", use[1]), 1, "off, or a cookie and its flags"};
  }
  CookieFlags rule;
  if (use[1].starts_with('~')) {
    rule.regex = use.level.binder->compile_regex(use[1].substr(1), true, 1);
    rule.name = ComplexValue(use[1]);
  } else {
    rule.name = read_value(use, 1);
  }
  using Flag = CookieFlags::Flag;
  using SameSite = CookieFlags::SameSite;
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string& word = use[i];
    if (word == "secure") {
      rule.secure = Flag::add;
    } else if (word == "nosecure") {
      rule.secure = Flag::remove;
    } else if (word == "httponly") {
      rule.httponly = Flag::add;
    } else if (word == "nohttponly") {
      rule.httponly = Flag::remove;
    } else if (word == "samesite=strict") {
      rule.samesite = SameSite::strict;
    } else if (word == "samesite=lax") {
      rule.samesite = SameSite::lax;
    } else if (word == "samesite=none") {
      rule.samesite = SameSite::none;
    } else if (word == "nosamesite") {
      rule.samesite = SameSite::remove;
    } else {
      throw Invalid{fmt::format("invalid parameter \"{}\"", word), i,
                    "secure, httponly, samesite=strict|lax|none, or one of them with \"no\" before it"};
    }
  }
  list.push_back(std::move(rule));
}
std::string show_cookie_flags(const Level& level) {
  const auto* group = read_target<P>(level);
  if (group == nullptr) return "";
  std::string text;
  for (const auto& rule : group->cookie_flags) text += (text.empty() ? "" : "; ") + rule.name.source();
  return text.empty() ? "off" : text;
}

void set_bind(const Use& use) {
  auto& bind = slot<&P::bind>(use);
  bind.reset();
  if (use.count() == 1 && use[1] == "off") return;
  if (!has_variable(use[1])) {
    std::string error;
    const auto endpoint = parse_endpoint(use[1], 0, error);
    if (!endpoint || !endpoint->address)
      throw Invalid{fmt::format("invalid address \"{}\"", use[1]), 1,
                    "an address of this machine, with or without a port"};
  }
  bind = read_value(use, 1);
  if (use.count() == 2) {
    if (use[2] != "transparent")
      throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2, "only \"transparent\""};
    use.level.binder->note_transparent();
    target<P>(use.level).bind_transparent = true;
  }
}
std::string show_bind(const Level& level) {
  const auto* group = read_target<P>(level);
  return group == nullptr ? ""
         : group->bind    ? group->bind->source() + (group->bind_transparent ? " transparent" : "")
                          : "off";
}

void set_limit_rate(const Use& use) {
  auto& rate = slot<&P::limit_rate>(use);
  if (!has_variable(use[1])) (void)read_size(use, 1, Gigabytes::accepted);
  rate = read_value(use);
}
std::string show_limit_rate(const Level& level) {
  const auto* group = read_target<P>(level);
  return group == nullptr ? "" : group->limit_rate ? group->limit_rate->source() : "0";
}

void set_store(const Use& use) {
  auto& store = slot<&P::store>(use);
  store.reset();
  if (use[1] == "off") return;
  if (use.level.settings->cache && use.level.find("proxy_cache") != nullptr) {
    throw Invalid{"\"proxy_store\" is incompatible with \"proxy_cache\"", 0, {}};
  }
  store = use[1] == "on" ? ComplexValue{} : read_value(use);
}
std::string show_store(const Level& level) {
  const auto* settings = read_target<P>(level);
  return settings == nullptr                 ? ""
         : !settings->store                  ? "off"
         : settings->store->source().empty() ? "on"
                                             : settings->store->source();
}

// Whose rights stand where in a mode.
constexpr std::array<Choice<std::uint32_t>, 3> kWho{{{"user", 6}, {"group", 3}, {"all", 0}}};

// "user:rw group:r all:r"
void set_store_access(const Use& use) {
  auto& mode = slot<&P::store_mode>(use);
  mode = 0600;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string_view rights = text.substr(std::min(colon + 1, text.size()));
    bool known = false;
    for (const auto& who : kWho) {
      if (text.substr(0, colon) != who.name) continue;
      if (rights != "r" && rights != "rw") break;
      mode |= (rights == "rw" ? 6U : 4U) << who.value;
      known = true;
    }
    if (!known) throw Invalid{fmt::format("invalid value \"{}\"", text), i, "user, group or all with :r or :rw"};
  }
}
std::string show_store_access(const Level& level) {
  const auto* settings = read_target<P>(level);
  if (settings == nullptr) return "";
  std::string text;
  for (const auto& who : kWho) {
    const std::uint32_t rights = settings->store_mode >> who.value & 7;
    if (rights != 0) text += fmt::format("{}{}:{}", text.empty() ? "" : " ", who.name, rights == 6 ? "rw" : "r");
  }
  return text;
}

const Directive kRows[] = {
    {"proxy_store",
     kHsl,
     kOne,
     {set_store, show_store, "on | off | PATH"},
     "Whether a 200 response's body is also kept as a file: where `root` or `alias` would look for it, or at the path.",
     Support::full,
     Phase::upstreams},
    {"proxy_store_access",
     kHsl,
     {1, 3, false},
     {set_store_access, show_store_access, "user:r|rw [group:r|rw] [all:r|rw]"},
     "Access rights of those files.",
     Support::full,
     Phase::settings,
     "user:rw"},
    {"proxy_redirect",
     kHsl,
     {1, 2, false},
     {set_redirect, show_redirect, "off | default | FROM TO"},
     "Rewrites Location and Refresh of upstream responses; default maps proxy_pass's URL back to the location. FROM "
     "may be a ~regular expression."},
    {"proxy_cookie_domain",
     kHsl,
     {1, 2, false},
     cookie_rules<&P::cookie_domain>("off | DOMAIN REPLACEMENT"),
     "Rewrites the domain of cookies that upstreams set."},
    {"proxy_cookie_path",
     kHsl,
     {1, 2, false},
     cookie_rules<&P::cookie_path>("off | PATH REPLACEMENT"),
     "Rewrites the path of cookies that upstreams set."},
    {"proxy_cookie_flags",
     kHsl,
     kOneOrMore,
     {add_cookie_flags, show_cookie_flags,
      "off | COOKIE [[no]secure] [[no]httponly] [samesite=strict|lax|none] [nosamesite]"},
     "Adds or removes flags of cookies that upstreams set."},
    {"proxy_set_body", kHsl, kOne, value<&P::set_body>(), "Body of the request to the upstream."},
    {"proxy_ignore_headers", kHsl, kOneOrMore,
     mask<&P::ignore_headers, kIgnored>("X-Accel-Redirect | X-Accel-Expires | X-Accel-Limit-Rate | X-Accel-Buffering | "
                                        "X-Accel-Charset | Expires | Cache-Control | Set-Cookie | Vary ..."),
     "Fields of upstream responses that are not acted on."},
    {"proxy_bind",
     kHsl,
     {1, 2, false},
     {set_bind, show_bind, "ADDRESS [transparent] | off"},
     "Local address of connections to upstreams."},
    {"proxy_limit_rate",
     kHsl,
     kOne,
     {set_limit_rate, show_limit_rate, "SIZE"},
     "Bytes per second read from an upstream; 0 is no limit."},
    {"proxy_force_ranges", kHsl, kOne, flag<&P::force_ranges>(),
     "Whether byte ranges are served of responses without Accept-Ranges."},
    {"proxy_pass_trailers", kHsl, kOne, flag<&P::pass_trailers>(),
     "Whether trailer fields of an upstream's response are passed on."},
};

}  // namespace

std::span<const Directive> proxy_transform_directives() { return kRows; }

}  // namespace gatehouse::config
