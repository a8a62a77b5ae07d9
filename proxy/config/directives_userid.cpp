// Rows of userid: cookies that tell clients apart.
#include <array>
#include <limits>

#include "proxy/config/settings/userid.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using U = UserIdSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<U::Mode>, 4> kModes{
    {{"off", U::Mode::off}, {"log", U::Mode::log}, {"v1", U::Mode::v1}, {"on", U::Mode::on}}};

template <auto Member>
constexpr Action text_or_none() {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            member = use[1] == "none" ? std::string() : use[1];
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            return member == nullptr ? "" : member->empty() ? "none" : *member;
          },
          "STRING | none"};
}

void set_expires(const Use& use) {
  auto& expires = slot<&U::expires>(use);
  expires.reset();
  if (use[1] == "off") return;
  expires = use[1] == "max"
                ? std::numeric_limits<std::int64_t>::max()
                : std::chrono::duration_cast<std::chrono::seconds>(read_time(use, 1, TimeUnit::seconds)).count();
}

void set_flags(const Use& use) {
  auto& flags = slot<&U::flags>(use);
  flags.clear();
  if (use.count() == 1 && use[1] == "off") return;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string& word = use[i];
    if (word == "secure" || word == "httponly") {
      flags += "; " + word;
    } else if (word == "samesite=strict" || word == "samesite=lax" || word == "samesite=none") {
      flags += "; samesite=" + word.substr(9);
    } else {
      throw Invalid{fmt::format("invalid parameter \"{}\"", word), i,
                    "secure, httponly, samesite=strict|lax|none or off"};
    }
  }
}

void set_mark(const Use& use) {
  auto& mark = slot<&U::mark>(use);
  mark = 0;
  if (use[1] == "off") return;
  const char c = use[1].empty() ? '\0' : use[1].front();
  const bool good =
      use[1].size() == 1 && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '=');
  if (!good) throw Invalid{"value must be \"off\" or a single letter, digit or \"=\"", 1, {}};
  mark = c;
}

void set_service(const Use& use) {
  slot<&U::service>(use) = static_cast<std::uint32_t>(read_number(use, 1, 0, 0xffffffffu));
}

constexpr Action kChooseMode = choice<&U::mode, kModes>("on | v1 | log | off");

void set_userid(const Use& use) {
  kChooseMode.set(use);
  auto& variables = use.level.binder->variables();
  if (variables.declared("uid_reset")) slot<&U::reset>(use) = variables.compile("$uid_reset", use.statement.place(1));
}

const Directive kRows[] = {
    {"userid",
     kHsl,
     kOne,
     {set_userid, kChooseMode.print, kChooseMode.syntax},
     "Whether clients get a cookie that tells them apart; log only reads it."},
    {"userid_name", kHsl, kOne, text<&U::name>("NAME"), "Name of the cookie."},
    {"userid_domain", kHsl, kOne, text_or_none<&U::domain>(), "Domain of the cookie."},
    {"userid_path", kHsl, kOne, text<&U::path>("PATH"), "Path of the cookie."},
    {"userid_expires", kHsl, kOne, {set_expires, nullptr, "TIME | max | off"}, "How long clients keep the cookie."},
    {"userid_p3p", kHsl, kOne, text_or_none<&U::p3p>(), "Value of a P3P field beside the cookie."},
    {"userid_flags", kHsl, kOneOrMore, {set_flags, nullptr, "off | FLAG..."}, "Flags of the cookie."},
    {"userid_mark",
     kHsl,
     kOne,
     {set_mark, nullptr, "LETTER | DIGIT | = | off"},
     "A mark in the cookie: without it, a client's cookie is written again."},
    {"userid_service",
     kHsl,
     kOne,
     {set_service, nullptr, "NUMBER | ADDRESS"},
     "Number of the server in the cookie; its address unless given."},
};

}  // namespace

std::span<const Directive> userid_directives() { return kRows; }

}  // namespace gatehouse::config
