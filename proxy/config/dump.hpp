// Shows a loaded configuration: as read (-T), and as understood.
#pragma once

#include <string>

#include "proxy/config/model.hpp"

namespace gatehouse::config {

/// The files as read, each under nginx's `# configuration file PATH:` line.
[[nodiscard]] std::string dump_sources(const Config& config);

/// The typed values after inheritance: one line for each that differs from its default, by listener, upstream, server
/// and location.
[[nodiscard]] std::string dump_values(const Config& config);

}  // namespace gatehouse::config
