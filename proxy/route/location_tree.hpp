// Which location of a server a URI means, by nginx's algorithm; a radix tree, so that ten thousand locations cost as
// much as one.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"

namespace gatehouse::route {

/// Where a URI belongs.
struct LocationMatch {
  const config::Location* location = nullptr;  ///< never null: the server's own level when no location matches
  const config::Regex* regex = nullptr;        ///< the last expression that matched; its groups are in the captures
  /// The URI lacks the trailing slash of a proxied location: answer 301 to URI + "/" (and the arguments) instead.
  bool add_slash = false;
};

/// The locations of one server. Immutable; lookups may run on any thread and allocate nothing (but for captures).
/// Borrows the server, which must outlive it. Source: nginx's ngx_http_core_find_location().
class LocationTree {
 public:
  explicit LocationTree(const config::Server& server);

  /// `uri` is the decoded, normalised path without arguments. `captures` is written only when an expression matches.
  [[nodiscard]] LocationMatch find(std::string_view uri, config::Regex::Captures& captures) const;
  /// The named location "@name", or null.
  [[nodiscard]] const config::Location* find_named(std::string_view name) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffffu;

  // A location with the level of its nested locations (kNone: it has none).
  struct Entry {
    const config::Location* location = nullptr;
    std::uint32_t level = kNone;
  };
  // A node of the radix tree: the bytes that lead to it, and what ends there.
  struct Node {
    std::string_view label;
    std::vector<std::uint32_t> children;  ///< sorted by the first byte of their labels
    Entry prefix;
    Entry exact;
  };
  // The locations of one block: prefixes and exact ones below `root`, and expressions in the order of the text.
  struct Level {
    std::uint32_t root = kNone;
    std::vector<Entry> regexes;
  };
  // What the prefixes and exact locations of a level say.
  struct Static {
    Entry entry;
    enum class Kind : std::uint8_t { none, prefix, exact, add_slash } kind = Kind::none;
  };

  std::uint32_t add_level(const config::Location& outer);
  void insert(std::uint32_t root, std::string_view text, const Entry& entry);
  [[nodiscard]] std::uint32_t child(const Node& node, char first) const;
  [[nodiscard]] Static find_static(std::uint32_t root, std::string_view uri) const;
  // Whether the level decided; `match` holds the best location so far.
  bool find_in(std::uint32_t level, std::string_view uri, config::Regex::Captures& captures,
               LocationMatch& match) const;

  std::vector<Node> nodes_;
  std::vector<Level> levels_;
  std::map<std::string_view, const config::Location*> named_;
  const config::Location* root_;
  std::uint32_t root_level_;  ///< last: building it fills the members above
};

}  // namespace gatehouse::route
