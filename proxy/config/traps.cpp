#include "proxy/config/traps.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/settings/headers.hpp"

namespace gatehouse::config {
namespace {

bool is_prefix(const Location& location) {
  return location.kind == LocationKind::prefix || location.kind == LocationKind::prefix_no_regex;
}

bool mentions(std::string_view text, std::string_view variable) {
  for (std::size_t at = text.find(variable); at != std::string_view::npos; at = text.find(variable, at + 1)) {
    const std::size_t end = at + variable.size();
    const bool braced = at > 0 && text[at - 1] == '{';
    const bool named = at > 0 && (text[at - 1] == '$' || braced);
    const char next = end < text.size() ? text[end] : ' ';
    const bool longer =
        (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || (next >= '0' && next <= '9') || next == '_';
    if (named && !longer) return true;
  }
  return false;
}

void warn_of_alias(Level& level) {
  const Statement* const alias = level.find("alias");
  if (alias == nullptr || level.location == nullptr || !is_prefix(*level.location)) return;
  const std::string& path = level.location->path;
  if (path.ends_with('/') || !(*alias)[1].ends_with('/')) return;
  level.binder->warn(*alias, 1, fmt::format("\"{0}..\" leads above the alias of location \"{0}\"", path),
                     fmt::format("give both a slash at the end: location {}/", path));
}

// What the URI of proxy_pass makes of the rest of the path.
void warn_of_proxy_uri(Level& level) {
  const Statement* const pass = level.find("proxy_pass");
  if (pass == nullptr || level.location == nullptr || !level.location->proxy_pass || !is_prefix(*level.location))
    return;
  const auto& uri = level.location->proxy_pass->uri;
  const std::string& path = level.location->path;
  if (!uri || uri->find('?') != std::string::npos) return;
  if (path.ends_with('/') && !uri->ends_with('/')) {
    level.binder->warn(*pass, 1, fmt::format("\"{}x\" is passed as \"{}x\"", path, *uri),
                       "the URI takes the place of the location's path: end both with a slash, or neither");
  } else if (!path.ends_with('/') && uri->ends_with('/')) {
    level.binder->warn(*pass, 1, fmt::format("\"{}/x\" is passed as \"{}/x\"", path, *uri),
                       "the URI takes the place of the location's path: end both with a slash, or neither");
  }
}

// Where upstream blocks exist, the value may well name one of them.
void warn_of_resolver(Level& level) {
  const Statement* const pass = level.find("proxy_pass");
  if (pass == nullptr || level.settings == nullptr || level.settings->resolver || level.http == nullptr) return;
  const auto& upstreams = level.http->upstreams;
  if (std::any_of(upstreams.begin(), upstreams.end(), [](const Upstream& one) { return !one.implicit; })) return;
  const std::string_view text = (*pass)[1];
  const std::size_t host = text.find("://") == std::string_view::npos ? 0 : text.find("://") + 3;
  if (text.substr(host, text.find('/', host) - host).find('$') == std::string_view::npos) return;
  level.binder->warn(*pass, 1, "no resolver for a name that variables make",
                     "fine if the value names an upstream block or an address; else add resolver ADDRESS");
}

void warn_of_trust(Level& level, const std::vector<Statement>& statements) {
  for (const auto& statement : statements) {
    if (statement.words.empty()) continue;
    const std::string& name = statement.name();
    if (name == "proxy_set_header" && statement.argument_count() == 2 && mentions(statement[2], "http_host")) {
      level.binder->warn(statement, 2, "$http_host is whatever the client wrote",
                         "$host is the name that chose the server, in lower case and without a port");
    }
    if (name != "return" && name != "rewrite") continue;
    const std::size_t word = statement.argument_count() >= 2 ? 2 : 1;
    if (statement.argument_count() < word) continue;
    const bool redirects = name == "return" || (statement.argument_count() > 2 &&
                                                (statement[3] == "redirect" || statement[3] == "permanent"));
    if (!redirects) continue;
    if (mentions(statement[word], "http_host")) {
      level.binder->warn(statement, word, "a redirect to $http_host goes where the client says",
                         "use $host or the name itself");
    }
    if (name == "return" && (mentions(statement[word], "uri") || mentions(statement[word], "document_uri"))) {
      level.binder->warn(statement, word, "$uri is decoded: escapes of the client's become bytes of the answer",
                         "$request_uri is the client's own text");
    }
  }
}

void warn_of_if(Level& level, const std::vector<Statement>& statements) {
  if (level.location == nullptr || !level.location->proxy_pass) return;
  constexpr std::array<std::string_view, 4> kSafe = {"return", "rewrite", "set", "break"};
  for (const auto& statement : statements) {
    if (statement.words.empty() || statement.name() != "if") continue;
    for (const auto& inner : statement.block) {
      if (inner.words.empty() || std::find(kSafe.begin(), kSafe.end(), inner.name()) != kSafe.end()) continue;
      level.binder->warn(inner, 0, fmt::format("\"{}\" inside \"if\" in a location with proxy_pass", inner.name()),
                         "the last \"if\" that holds replaces the location's settings; a map or a location of its own "
                         "says what is meant");
    }
  }
}

void warn_of_inheritance(Level& level) {
  const Statement* const own = level.find("add_header");
  if (own == nullptr || level.parent == nullptr || level.parent->settings == nullptr ||
      !level.parent->settings->add_header)
    return;
  const auto* headers = level.settings->headers.get();
  if (headers != nullptr && headers->header_inherit != FieldInheritance::on) return;
  const auto& lost = *level.parent->settings->add_header;
  if (lost.empty()) return;
  std::string names;
  for (const auto& rule : lost) {
    const bool repeated = std::any_of(level.settings->add_header->begin(), level.settings->add_header->end(),
                                      [&](const HeaderRule& mine) { return mine.name == rule.name; });
    if (!repeated) names += (names.empty() ? "" : ", ") + rule.name;
  }
  if (names.empty()) return;
  level.binder->warn(*own, 0, fmt::format("add_header here ends the inheritance of {}", names),
                     "repeat them here, or say add_header_inherit merge");
}

}  // namespace

void warn_of_traps(Level& level) {
  if (!level.binder->warns_of_traps() || level.statement == nullptr) return;
  warn_of_alias(level);
  warn_of_proxy_uri(level);
  warn_of_resolver(level);
  warn_of_inheritance(level);
  warn_of_if(level, level.statement->block);
  warn_of_trust(level, level.statement->block);
}

}  // namespace gatehouse::config
