// Settings of response fields that are computed: expires, add_trailer (nginx's headers module), more_set_headers, limit_rate (its core).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// What `expires` says; a variable's value is read the same way at run time.
struct Expires {
  enum class Kind : std::uint8_t { off, epoch, max, access, modified, daily };
  Kind kind = Kind::off;
  std::int64_t seconds = 0;  ///< from now, from the modification, or from midnight

  /// Reads "epoch", "max", "off", "@15h30m", "-1", "30d" or, with `modified`, a time after the modification; nothing if it is
  /// none of these.
  [[nodiscard]] static std::optional<Expires> parse(std::string_view text, bool modified);
};

/// Whether fields of the level above hold beside a level's own (add_header_inherit, add_trailer_inherit).
enum class FieldInheritance : std::uint8_t { on, off, merge };

/// One field that more_set_headers or more_clear_headers names (headers-more's README).
struct FieldChange {
  std::string name;
  bool is_prefix = false;             ///< every field whose name begins so
  std::optional<ComplexValue> value;  ///< nothing: the field goes
  bool appends = false;               ///< those of the same name stay
  std::vector<int> statuses;          ///< of the responses it is for; empty: all
  std::vector<std::string> types;     ///< their content types; empty: all
};

struct HeaderSettings {
  std::optional<Expires> expires;             ///< a constant one
  std::optional<ComplexValue> expires_value;  ///< one with variables
  bool expires_modified = false;              ///< `modified` before a value with variables
  std::vector<HeaderRule> add_trailer;
  std::vector<FieldChange> field_changes;  ///< in order, before add_header
  FieldInheritance header_inherit = FieldInheritance::on;
  FieldInheritance trailer_inherit = FieldInheritance::on;
  std::vector<ComplexValue> early_hints;         ///< 103 passes if all of them hold; empty: always
  std::optional<ComplexValue> limit_rate;        ///< bytes per second; 0 is no limit
  std::optional<ComplexValue> limit_rate_after;  ///< bytes before it holds
};

template <>
struct GroupOf<HeaderSettings> {
  static constexpr auto member = &LocationSettings::headers;
};

}  // namespace gatehouse::config
