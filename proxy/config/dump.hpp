// Shows a loaded configuration: as read (-T), and as understood.
#pragma once

#include <string>
#include <string_view>

#include "proxy/config/model.hpp"

namespace gatehouse::config {

/// The files as read, each under nginx's `# configuration file PATH:` line.
[[nodiscard]] std::string dump_sources(const Config& config);

/// The typed values after inheritance: one line for each that differs from its default, by listener, upstream, server
/// and location.
[[nodiscard]] std::string dump_values(const Config& config);

/// The settings of one location that differ from their defaults, one a line behind `indent`.
[[nodiscard]] std::string dump_settings(const Config& config, const Location& location, std::string_view indent);

/// A rewrite program, one step a line behind `indent`.
[[nodiscard]] std::string dump_program(const Config& config, const Program& program, std::string_view indent);

}  // namespace gatehouse::config
