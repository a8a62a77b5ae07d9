// Rows that look at the User-Agent: ancient_browser, modern_browser, keepalive_disable.
#include <array>

#include "proxy/config/settings/browser.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using B = BrowserSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<B::Kind>, 5> kBrowsers{{{"msie", B::Kind::msie},
                                                    {"gecko", B::Kind::gecko},
                                                    {"opera", B::Kind::opera},
                                                    {"safari", B::Kind::safari},
                                                    {"konqueror", B::Kind::konqueror}}};

constexpr std::array<Choice<std::uint32_t>, 3> kKeepalive{
    {{"none", 0}, {"msie6", keepalive_not_msie6}, {"safari", keepalive_not_safari}}};

void add_modern(const Use& use) {
  auto& settings = target<B>(use.level);
  if (use.first) {
    settings.modern.clear();
    settings.unlisted_is_modern = false;
  }
  if (use.count() == 1) {
    if (use[1] != "unlisted")
      throw Invalid{fmt::format("invalid browser \"{}\"", use[1]), 1, "BROWSER VERSION, or unlisted"};
    settings.unlisted_is_modern = true;
    return;
  }
  for (const auto& browser : kBrowsers) {
    if (use[1] != browser.name) continue;
    std::string_view rest;
    const std::uint64_t version = browser_version(use[2], &rest);
    if (!rest.empty()) throw Invalid{fmt::format("invalid browser version \"{}\"", use[2]), 2, "such as 5.5"};
    settings.modern.push_back({browser.value, version});
    return;
  }
  throw Invalid{fmt::format("unknown browser name \"{}\"", use[1]), 1, choice_names(kBrowsers)};
}
std::string show_modern(const Level& level) {
  const auto* settings = read_target<B>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& modern : settings->modern) {
    for (const auto& browser : kBrowsers) {
      if (browser.value == modern.kind)
        text += fmt::format("{}{} {}", text.empty() ? "" : "; ", browser.name, modern.version);
    }
  }
  if (settings->unlisted_is_modern) text += text.empty() ? "unlisted" : "; unlisted";
  return text;
}

void add_ancient(const Use& use) {
  auto& settings = target<B>(use.level);
  if (use.first) {
    settings.ancient.clear();
    settings.ancient_netscape4 = false;
  }
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i] == "netscape4") {
      settings.ancient_netscape4 = true;
    } else {
      settings.ancient.push_back(use[i]);
    }
  }
}
std::string show_ancient(const Level& level) {
  const auto* settings = read_target<B>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& word : settings->ancient) text += (text.empty() ? "" : " ") + word;
  if (settings->ancient_netscape4) text += text.empty() ? "netscape4" : " netscape4";
  return text;
}

const Directive kRows[] = {
    {"modern_browser",
     kHsl,
     {1, 2, false},
     {add_modern, show_modern, "BROWSER VERSION | unlisted"},
     "From which version on a browser is modern: msie, gecko, opera, safari, konqueror."},
    {"ancient_browser",
     kHsl,
     kOneOrMore,
     {add_ancient, show_ancient, "STRING ..."},
     "Strings in the User-Agent of ancient browsers; `netscape4` is any Netscape 1 to 4."},
    {"modern_browser_value", kHsl, kOne, text<&B::modern_value>(), "What $modern_browser is for a modern browser."},
    {"ancient_browser_value", kHsl, kOne, text<&B::ancient_value>(),
     "What $ancient_browser is for an ancient browser."},
    {"keepalive_disable", kHsl, kOneOrMore, mask<&B::keepalive_disable, kKeepalive>("none | msie6 | safari ..."),
     "Browsers that keep-alive is not for: `msie6` after a POST, `safari` on macOS."},
};

}  // namespace

std::uint64_t browser_version(std::string_view text, std::string_view* rest) noexcept {
  std::uint64_t version = 0;
  std::uint64_t component = 0;
  std::uint64_t scale = 1'000'000;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.') {
      version += component * scale;
      component = 0;
      scale /= 100;
      continue;
    }
    if (text[i] < '0' || text[i] > '9') break;
    component = component > 1'000'000 ? component : component * 10 + static_cast<std::uint64_t>(text[i] - '0');
  }
  if (rest != nullptr) *rest = text.substr(i);
  return version + component * scale;
}

std::span<const Directive> browser_directives() { return kRows; }

}  // namespace gatehouse::config
