// Settings of userid (ngx_http_userid_module).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

struct UserIdSettings {
  enum class Mode : std::uint8_t { off, log, v1, on };
  Mode mode = Mode::off;
  std::string name = "uid";
  std::string domain;  ///< "": none
  std::string path = "/";
  std::string p3p;                      ///< "": none
  std::string flags;                    ///< as they stand in the cookie: "; secure; httponly"
  std::optional<std::int64_t> expires;  ///< seconds; nothing: none; the largest number: "max"
  char mark = 0;                        ///< 0: off
  std::optional<std::uint32_t> service;
  std::optional<ComplexValue> reset;  ///< $uid_reset, where the configuration sets it
};

template <>
struct GroupOf<UserIdSettings> {
  static constexpr auto member = &LocationSettings::userid;
};

}  // namespace gatehouse::config
