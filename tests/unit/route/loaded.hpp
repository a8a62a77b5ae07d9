// Configurations for routing tests, from text.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "proxy/config/loader.hpp"

namespace gatehouse::route {

/// Loads `http_block` inside events {} http { ... }; throws with the first message when it doesn't load.
inline std::shared_ptr<const config::Config> load_http(const std::string& http_block) {
  const auto result = config::load_text("test.conf", "events {} http { " + http_block + " }", {});
  if (!result.config) throw std::runtime_error(result.diagnostics.empty() ? "?" : result.diagnostics.front().text);
  return result.config;
}

}  // namespace gatehouse::route
