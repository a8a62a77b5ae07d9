// Settings by the client's User-Agent: nginx's browser module, and keepalive_disable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// Words of keepalive_disable, as bits.
enum KeepaliveDisable : std::uint32_t {
  keepalive_not_msie6 = 1u << 0,
  keepalive_not_safari = 1u << 1,
};

struct BrowserSettings {
  enum class Kind : std::uint8_t { msie, gecko, opera, safari, konqueror };
  /// `modern_browser NAME VERSION`.
  struct Modern {
    Kind kind = Kind::msie;
    std::uint64_t version = 0;  ///< as browser_version() reads it
  };
  std::vector<Modern> modern;
  std::vector<std::string> ancient;  ///< strings in the User-Agent
  bool ancient_netscape4 = false;
  bool unlisted_is_modern = false;
  std::string modern_value = "1";
  std::string ancient_value = "1";
  std::uint32_t keepalive_disable = keepalive_not_msie6;
};

template <>
struct GroupOf<BrowserSettings> {
  static constexpr auto member = &LocationSettings::browser;
};

/// "1.2.3.4" -> 1020304: two digits a component. Stops at the first character that is neither digit nor point; `rest` is what follows.
[[nodiscard]] std::uint64_t browser_version(std::string_view text, std::string_view* rest = nullptr) noexcept;

}  // namespace gatehouse::config
