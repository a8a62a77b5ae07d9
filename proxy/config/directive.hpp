// The row that is the only place which knows a directive: where it may stand, its arguments, what it sets, its
// documentation.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"
#include "proxy/config/syntax.hpp"

namespace gatehouse::config {

class Binder;

/// A block that directives stand in; bits, so that a row can name several.
enum Context : std::uint32_t {
  kMain = 1u << 0,
  kEvents = 1u << 1,
  kHttp = 1u << 2,
  kServer = 1u << 3,
  kLocation = 1u << 4,
  kUpstream = 1u << 5,
  kServerIf = 1u << 6,
  kLocationIf = 1u << 7,
  kLimitExcept = 1u << 8,
  kStream = 1u << 9,
  kStreamServer = 1u << 10,
  kStreamUpstream = 1u << 11,
};
inline constexpr std::uint32_t kHttpServerLocation = kHttp | kServer | kLocation;
inline constexpr std::uint32_t kStreamBoth = kStream | kStreamServer;
inline constexpr std::uint32_t kAnyContext = 0xfffu;

/// "http, server, location".
[[nodiscard]] std::string context_names(std::uint32_t contexts);

/// How many arguments a directive takes, and whether a block follows.
struct Arity {
  static constexpr std::uint8_t kAny = 255;
  std::uint8_t least = 1;
  std::uint8_t most = 1;
  bool block = false;
};
inline constexpr Arity kNoArgument{0, 0, false};
inline constexpr Arity kOne{1, 1, false};
inline constexpr Arity kTwo{2, 2, false};
inline constexpr Arity kOneOrMore{1, Arity::kAny, false};
inline constexpr Arity kTwoOrMore{2, Arity::kAny, false};
inline constexpr Arity kBlock{0, 0, true};

/// What Gatehouse does with a directive.
enum class Support : std::uint8_t {
  full,         ///< does what it says
  tuning,       ///< nginx's insides only: accepted, arguments checked, no effect
  missing,      ///< nginx has it, this version can't run it yet: an error (the row already binds when it has a setter)
  unsupported,  ///< never planned: an error that says what to do instead
};

/// When the statements of one block are bound: a level is complete before the levels inside it start from a copy of it.
enum class Phase : std::uint8_t { settings, upstreams, children };

struct Level;
struct Directive;

/// One statement that meets its row.
struct Use {
  Level& level;
  const Statement& statement;
  const Directive& row;
  bool first;  ///< the first of this directive at this level

  [[nodiscard]] const std::string& operator[](std::size_t i) const { return statement[i]; }
  [[nodiscard]] std::size_t count() const { return statement.argument_count(); }
};

/// Sets the typed configuration from a statement; throws Invalid.
using Setter = void (*)(const Use&);
/// The current value as configuration text, for dumps and documented defaults. "" when it isn't set.
using Printer = std::string (*)(const Level&);

/// What a directive does: how it sets its target, shows it, and its arguments' syntax.
struct Action {
  Setter set = nullptr;
  Printer print = nullptr;
  std::string_view syntax;
};

struct Directive {
  std::string_view name;
  std::uint32_t contexts = 0;
  Arity arity;
  Action action;
  std::string_view documentation;
  Support support = Support::full;
  Phase phase = Phase::settings;
  std::string_view fallback = {};  ///< the default, where no printer shows it
};

/// The block being bound and the typed values that it fills; pointers to what the context doesn't have are null.
struct Level {
  Context context = kMain;
  Binder* binder = nullptr;
  Level* parent = nullptr;
  const Statement* statement = nullptr;  ///< the block's own

  MainSettings* main = nullptr;
  Http* http = nullptr;
  Server* server = nullptr;
  ServerSettings* server_settings = nullptr;
  Location* location = nullptr;
  LocationSettings* settings = nullptr;
  Upstream* upstream = nullptr;
  Program* program = nullptr;  ///< of rewriting: the server's, the location's or the if block's

  std::map<const Directive*, const Statement*> seen;  ///< the first use of each directive here
  /// Exact and prefix locations of this block by kind (both kinds of prefix count as one) and path, with their lines.
  std::map<std::pair<LocationKind, std::string_view>, std::uint32_t> locations;
  std::set<const void*> own_groups;  ///< members of `settings` (shared groups) that were copied for this level already

  /// A level inside this one that fills the same values until the block points it elsewhere.
  [[nodiscard]] Level inner(Context inside, const Statement& block);
  /// Whether this level itself has the directive.
  [[nodiscard]] const Statement* find(std::string_view name) const;
};

/// Every directive, in the order of the reference page. A name may have several rows, one for each meaning.
[[nodiscard]] std::span<const Directive> directives();
/// The rows called `name`; empty for an unknown one.
[[nodiscard]] std::span<const Directive* const> find_directives(std::string_view name);
/// All names, for suggestions.
[[nodiscard]] std::span<const std::string_view> directive_names();

}  // namespace gatehouse::config
