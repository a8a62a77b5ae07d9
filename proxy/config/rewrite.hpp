// The rewrite module's directives as a program: `set`, `if`, `rewrite`, `return`, `break`, in the order of the text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "proxy/config/regex.hpp"
#include "proxy/config/value.hpp"

namespace gatehouse::config {

struct Location;

/// `return CODE [TEXT|URL]`; code 444 closes the connection.
struct ReturnAction {
  int status = 0;
  std::optional<ComplexValue> text;  ///< a body, or the Location of 301 302 303 307 308
};

/// `set $NAME VALUE`. `target` is a user variable's slot, or one of the builtin ones that can be set ($args,
/// $limit_rate).
struct SetStep {
  VariableRef target;
  ComplexValue value;
};

/// `rewrite REGEX REPLACEMENT [FLAG]`, matched against $uri.
struct RewriteStep {
  enum class Flag : std::uint8_t { none, last, stop, redirect, permanent };  ///< `stop` is nginx's "break"
  std::shared_ptr<const Regex> regex;
  ComplexValue replacement;      ///< without the final "?"
  bool append_arguments = true;  ///< off when the replacement ended in "?"
  bool sets_arguments = false;   ///< the replacement has a "?" of its own; old arguments follow behind "&"
  Flag flag = Flag::none;
};

/// `break`: the program ends, the request stays in its location.
struct BreakStep {};

/// The condition of an `if`.
struct Condition {
  enum class Test : std::uint8_t { truth, equal, match, file, directory, exists, executable };
  Test test = Test::truth;
  bool negated = false;
  ComplexValue subject;                ///< the variable, or the path of a file test
  ComplexValue operand;                ///< of `=` and `!=`
  std::shared_ptr<const Regex> regex;  ///< of `~` and its kin; sets $1..$9 and its named groups
};

/// `if (CONDITION) { ... }`: when it holds, its program runs, and in a location `settings` replaces the location for
/// the rest of the exchange (the last one that held wins).
struct IfStep {
  Condition condition;
  std::shared_ptr<Location> settings;  ///< null at server level; its own `program` is empty: the block's is below
  std::vector<std::variant<SetStep, RewriteStep, ReturnAction, BreakStep, IfStep>> program;
};

using ProgramStep = std::variant<SetStep, RewriteStep, ReturnAction, BreakStep, IfStep>;
using Program = std::vector<ProgramStep>;

/// `error_page CODE... [=[CODE]] URI`.
struct ErrorPage {
  enum class Status : std::uint8_t { keep, of_the_page, fixed };
  std::vector<int> codes;
  Status status = Status::keep;
  int fixed_status = 0;
  ComplexValue uri;  ///< a path (with arguments), "@name", or an absolute URL
};

}  // namespace gatehouse::config
