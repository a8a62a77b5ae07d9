#include "proxy/http/message.hpp"

#include <array>

namespace gatehouse::http {
namespace {

struct MethodRow {
  std::string_view text;
  Repeat repeat;
};

constexpr std::array kMethods = {
#define GATEHOUSE_METHOD_ROW(id, text, repeat) MethodRow{text, Repeat::repeat},
    GATEHOUSE_METHODS(GATEHOUSE_METHOD_ROW)
#undef GATEHOUSE_METHOD_ROW
        MethodRow{"", Repeat::harmful},
};

}  // namespace

Method method_of(std::string_view text) noexcept {
  for (std::size_t i = 0; i + 1 < kMethods.size(); ++i) {
    if (kMethods[i].text == text) return static_cast<Method>(i);
  }
  return Method::other;
}

std::string_view method_text(Method method) noexcept { return kMethods[static_cast<std::size_t>(method)].text; }

Repeat repeat_of(Method method) noexcept { return kMethods[static_cast<std::size_t>(method)].repeat; }

std::string_view version_text(Version version) noexcept {
  switch (version) {
    case Version::http10: return "HTTP/1.0";
    case Version::http11: return "HTTP/1.1";
    case Version::http2: return "HTTP/2.0";
  }
  return {};
}

}  // namespace gatehouse::http
