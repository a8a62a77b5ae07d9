// Rows of who may come in, and of copies of requests: auth_basic, auth_request, satisfy, limit_except, secure_link, valid_referers, mirror.
#include <algorithm>
#include <array>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/auth.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using A = AuthSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kAuthContexts = kHsl | kLocationIf | kLimitExcept;

constexpr std::array<Choice<bool>, 2> kSatisfy{{{"all", false}, {"any", true}}};

void set_realm(const Use& use) {
  auto& realm = slot<&A::realm>(use);
  realm.reset();
  if (use[1] != "off") realm = read_value(use);
}
std::string show_realm(const Level& level) {
  const auto* settings = read_target<A>(level);
  return settings == nullptr ? "" : settings->realm ? settings->realm->source() : "off";
}

void set_user_file(const Use& use) {
  auto& file = slot<&A::user_file>(use);
  std::string path = use[1];
  if (!path.starts_with('$')) path = use.level.binder->configuration_path(path);
  file = read_value(use, 1, path);
}
std::string show_user_file(const Level& level) {
  const auto* settings = read_target<A>(level);
  return settings == nullptr || !settings->user_file ? "" : settings->user_file->source();
}

void set_auth_request(const Use& use) {
  auto& uri = slot<&A::auth_request>(use);
  uri.reset();
  if (use[1] != "off") uri = use[1];
}
std::string show_auth_request(const Level& level) {
  const auto* settings = read_target<A>(level);
  return settings == nullptr ? "" : settings->auth_request.value_or("off");
}

void add_auth_request_set(const Use& use) {
  if (!use[1].starts_with('$') || use[1].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[1]), 1, {}};
  auto& list = target<A>(use.level).auth_request_set;
  if (use.first) list.clear();
  auto& variables = use.level.binder->variables();
  const auto name = std::string_view(use[1]).substr(1);
  list.emplace_back(VariableRef{VariableRef::Kind::user, variables.define(name, 1), {}}, read_value(use, 2));
}

void set_limit_except(const Use& use) {
  auto& location = *use.level.location;
  if (location.limit_except) refuse(use, 0, "is duplicate");
  constexpr std::array<std::string_view, 15> kMethods{"GET",       "HEAD", "POST",   "PUT",     "DELETE",
                                                      "MKCOL",     "COPY", "MOVE",   "OPTIONS", "PROPFIND",
                                                      "PROPPATCH", "LOCK", "UNLOCK", "PATCH",   "TRACE"};
  auto except = std::make_shared<LimitExcept>();
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (std::ranges::find(kMethods, use[i]) == kMethods.end()) {
      throw Invalid{fmt::format("invalid method \"{}\"", use[i]), i, "a method's name in upper case"};
    }
    except->methods.push_back(use[i]);
  }
  except->settings = *use.level.settings;
  auto level = use.level.inner(kLimitExcept, use.statement);
  level.settings = &except->settings;
  Location inner;
  level.location = &inner;
  use.level.binder->bind_block(use.statement.block, level);
  location.limit_except = std::move(except);
}

void set_secret(const Use& use) { slot<&A::secure_link_secret>(use) = use[1]; }
std::string show_secret(const Level& level) {
  const auto* settings = read_target<A>(level);
  return settings == nullptr ? "" : settings->secure_link_secret;
}

void add_referers(const Use& use) {
  auto& settings = target<A>(use.level);
  if (use.first) {
    settings.referers_none = settings.referers_blocked = settings.referers_server_names = false;
    settings.referers.clear();
    settings.referer_expressions.clear();
  }
  settings.referers_given = true;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string& text = use[i];
    if (text == "none") {
      settings.referers_none = true;
    } else if (text == "blocked") {
      settings.referers_blocked = true;
    } else if (text == "server_names") {
      settings.referers_server_names = true;
    } else if (text.starts_with('~')) {
      settings.referer_expressions.push_back(use.level.binder->compile_regex(text.substr(1), true, i));
    } else {
      if (text.empty()) throw Invalid{fmt::format("invalid referer \"{}\"", text), i, {}};
      A::Referer referer;
      const std::size_t slash = text.find('/');
      std::string host = lower_case(std::string_view(text).substr(0, slash));
      if (slash != std::string::npos) referer.path = text.substr(slash);
      if (host.starts_with("*.")) {
        referer.kind = A::Referer::Kind::leading_wildcard;
        host.erase(0, 2);
      } else if (host.ends_with(".*")) {
        referer.kind = A::Referer::Kind::trailing_wildcard;
        host.resize(host.size() - 2);
      } else if (host.starts_with('.')) {
        settings.referers.push_back({host.substr(1), referer.path, A::Referer::Kind::exact});
        referer.kind = A::Referer::Kind::leading_wildcard;
        host.erase(0, 1);
      }
      if (host.find('*') != std::string::npos || host.empty())
        throw Invalid{fmt::format("invalid server name or wildcard \"{}\"", text), i, {}};
      referer.host = std::move(host);
      settings.referers.push_back(std::move(referer));
    }
  }
}

void add_mirror(const Use& use) {
  auto& settings = target<MirrorSettings>(use.level);
  if (use[1] == "off") {
    if (!use.first) refuse(use, 0, "is duplicate");
    settings.mirror.clear();
    return;
  }
  if (use.first) settings.mirror.clear();
  settings.mirror.push_back(use[1]);
}
void set_post_action(const Use& use) { slot<&MirrorSettings::post_action>(use) = use[1] == "off" ? "" : use[1]; }
std::string show_post_action(const Level& level) {
  const auto* settings = read_target<MirrorSettings>(level);
  return settings == nullptr ? "" : settings->post_action.empty() ? "off" : settings->post_action;
}

std::string show_mirror(const Level& level) {
  const auto* settings = read_target<MirrorSettings>(level);
  if (settings == nullptr) return "";
  std::string text;
  for (const auto& uri : settings->mirror) text += (text.empty() ? "" : "; ") + uri;
  return text.empty() ? "off" : text;
}

const Directive kRows[] = {
    {"satisfy", kHsl, kOne, choice<&A::satisfy_any, kSatisfy>("all | any"),
     "Whether all of allow/deny, auth_basic and auth_request must let a client in, or one is enough."},
    {"auth_basic",
     kAuthContexts,
     kOne,
     {set_realm, show_realm, "REALM | off"},
     "Asks clients for a user and a password."},
    {"auth_basic_user_file",
     kAuthContexts,
     kOne,
     {set_user_file, show_user_file, "FILE"},
     "Users and their hashed passwords, as htpasswd writes them."},
    {"auth_delay", kHsl, kOne, time<&A::auth_delay>(), "Time that an answer 401 is held back."},
    {"auth_request",
     kHsl,
     kOne,
     {set_auth_request, show_auth_request, "URI | off"},
     "Asks this URI with a subrequest: 2xx lets the client in, 401 and 403 are its answer."},
    {"auth_request_set",
     kHsl,
     kTwo,
     {add_auth_request_set, nullptr, "$NAME VALUE"},
     "Sets a variable when that subrequest is done; the value sees its response."},
    {"limit_except",
     kLocation,
     {1, Arity::kAny, true},
     {set_limit_except, nullptr, "METHOD... { ... }"},
     "Access rules for all other methods.",
     Support::full,
     Phase::children},
    {"secure_link", kHsl, kOne, value<&A::secure_link>(), "The link's hash and, behind a comma, its time of expiry."},
    {"secure_link_md5", kHsl, kOne, value<&A::secure_link_md5>(), "The text whose MD5 the link's hash must be."},
    {"secure_link_secret",
     kLocation,
     kOne,
     {set_secret, show_secret, "WORD"},
     "The secret of links of the form /PREFIX/HASH/LINK."},
    {"valid_referers",
     kServer | kLocation,
     kOneOrMore,
     {add_referers, nullptr, "none | blocked | server_names | NAME | ~REGEX ..."},
     "Referers for which $invalid_referer is empty."},
    {"referer_hash_max_size", kServer | kLocation, kOne, accept_number(),
     "Accepted without effect: it tunes nginx's insides.", Support::tuning},
    {"referer_hash_bucket_size", kServer | kLocation, kOne, accept_number(),
     "Accepted without effect: it tunes nginx's insides.", Support::tuning},
    {"mirror",
     kHsl,
     kOne,
     {add_mirror, show_mirror, "URI | off"},
     "Sends a copy of each request to this URI too, and drops the answer."},
    {"post_action",
     kHsl,
     kOne,
     {set_post_action, show_post_action, "URI | @NAME | off"},
     "A subrequest that is made when the request has been answered."},
    {"mirror_request_body", kHsl, kOne, flag<&MirrorSettings::request_body>(),
     "Whether the copy has the request's body."},
};

}  // namespace

std::span<const Directive> auth_directives() { return kRows; }

}  // namespace gatehouse::config
