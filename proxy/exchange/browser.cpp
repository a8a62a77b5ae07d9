#include "proxy/exchange/browser.hpp"

#include <algorithm>
#include <array>

#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {
namespace {

// Where a browser's name begins at the earliest, and how far behind its beginning the version stands. In the order in which nginx looks.
struct Mark {
  config::BrowserSettings::Kind kind;
  std::size_t skip;
  std::string_view name;
  std::size_t version;
};
constexpr std::size_t length(std::string_view text) { return text.size(); }
using Kind = config::BrowserSettings::Kind;
constexpr std::array kMarks = {
    Mark{Kind::opera, 0, "Opera", length("Opera ")},
    Mark{Kind::gecko, length("Mozilla/5.0 ("), "rv:", length("rv:")},
    Mark{Kind::msie, length("Mozilla/4.0 (compatible; "), "MSIE", length("MSIE ")},
    Mark{Kind::konqueror, length("Mozilla/5.0 (compatible; "), "Konqueror/", length("Konqueror/")},
    Mark{Kind::safari, length("Mozilla/5.0 (Macintosh; U; PPC Mac OS X "), "Safari/", length("Safari/")},
};

bool has(std::string_view text, std::string_view part) noexcept { return text.find(part) != std::string_view::npos; }

const config::BrowserSettings& browsers_of(const Exchange& exchange) {
  static const config::BrowserSettings kDefaults;
  const auto& settings = exchange.settings().browser;
  return settings ? *settings : kDefaults;
}

}  // namespace

bool is_msie(std::string_view agent) noexcept { return has(agent, "MSIE ") && !has(agent, "Opera"); }

bool is_chrome(std::string_view agent) noexcept {
  return has(agent, "Chrome/") && !has(agent, "Gecko/") && !has(agent, "MSIE ") && !has(agent, "Opera");
}

bool is_modern(const config::BrowserSettings& settings, std::optional<std::string_view> agent) noexcept {
  if (!agent) return settings.unlisted_is_modern;
  constexpr std::string_view kMozilla = "Mozilla/";
  if (settings.ancient_netscape4 && agent->size() > length("Mozilla/4.72 ") && agent->starts_with(kMozilla) &&
      (*agent)[kMozilla.size()] > '0' && (*agent)[kMozilla.size()] < '5') {
    return false;
  }
  for (const Mark& mark : kMarks) {
    const auto modern = std::find_if(settings.modern.begin(), settings.modern.end(),
                                     [&](const config::BrowserSettings::Modern& one) { return one.kind == mark.kind; });
    if (modern == settings.modern.end() || mark.skip >= agent->size()) continue;
    const std::size_t at = agent->find(mark.name, mark.skip);
    if (at == std::string_view::npos) continue;
    const std::string_view version = agent->substr(std::min(at + mark.version, agent->size()));
    return config::browser_version(version) >= modern->version;
  }
  const auto& ancient = settings.ancient;
  if (std::any_of(ancient.begin(), ancient.end(), [&](const std::string& part) { return has(*agent, part); }))
    return false;
  return settings.unlisted_is_modern;
}

bool is_old_msie(std::string_view agent) noexcept {
  if (!is_msie(agent)) return false;
  const std::string_view version = agent.substr(agent.find("MSIE ") + 5);
  if (version.size() < 2 || version[1] != '.') return false;
  return version[0] == '4' || version[0] == '5' || (version[0] == '6' && !has(version, "SV1"));
}

bool dislikes_keepalive(std::uint32_t disable, bool is_post, std::string_view agent) noexcept {
  if ((disable & config::keepalive_not_msie6) != 0 && is_post && is_old_msie(agent)) return true;
  return (disable & config::keepalive_not_safari) != 0 && has(agent, "Safari/") && has(agent, "Mac OS X") &&
         !has(agent, "Opera") && !has(agent, "Gecko/") && !has(agent, "Chrome/");
}

void respect_old_browser(Exchange& exchange) {
  const auto agent = exchange.head.fields.value(http::FieldId::user_agent);
  if (!agent) return;
  const bool is_post = exchange.method == http::Method::post;
  if (dislikes_keepalive(browsers_of(exchange).keepalive_disable, is_post, *agent)) {
    exchange.downstream.close_after_response();
  }
}

std::optional<std::string_view> msie(Exchange& exchange, std::string_view) {
  const auto agent = exchange.head.fields.value(http::FieldId::user_agent);
  return agent && is_msie(*agent) ? std::optional<std::string_view>("1") : std::nullopt;
}

std::optional<std::string_view> modern_browser(Exchange& exchange, std::string_view) {
  const auto& settings = browsers_of(exchange);
  const bool modern = is_modern(settings, exchange.head.fields.value(http::FieldId::user_agent));
  return modern ? std::optional<std::string_view>(settings.modern_value) : std::nullopt;
}

std::optional<std::string_view> ancient_browser(Exchange& exchange, std::string_view) {
  const auto& settings = browsers_of(exchange);
  const bool modern = is_modern(settings, exchange.head.fields.value(http::FieldId::user_agent));
  return modern ? std::nullopt : std::optional<std::string_view>(settings.ancient_value);
}

}  // namespace gatehouse::exchange
