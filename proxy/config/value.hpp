// Strings with variables in them, as configuration text gives them: "https://$host$request_uri".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::config {

/// A variable that a configured string refers to, resolved while loading so that evaluation never looks a name up.
struct VariableRef {
  enum class Kind : std::uint8_t {
    builtin,  ///< `index` is a row of the VariableCatalog; `argument` is NAME of families such as $http_NAME, $arg_NAME
    capture,  ///< $1 .. $9 of the regular expression that matched last; `index` is the group
    user,     ///< a named capture, `set` or `map` variable; `index` is its slot in the exchange
  };
  Kind kind = Kind::builtin;
  std::uint16_t index = 0;
  std::string argument;

  friend bool operator==(const VariableRef&, const VariableRef&) = default;
};

/// The variables that the running proxy can evaluate. Implemented above this layer (exchange), so that a variable's
/// name, getter and documentation stay in one row; the loader only asks for names.
class VariableCatalog {
 public:
  virtual ~VariableCatalog() = default;
  /// The builtin variable called `name` (without `$`), or nothing. Thread-safe.
  [[nodiscard]] virtual std::optional<VariableRef> find(std::string_view name) const = 0;
  /// All plain names, for "did you mean" suggestions and the reference page.
  [[nodiscard]] virtual std::vector<std::string_view> names() const = 0;
};

/// A configured string compiled to pieces: a literal, a variable, a literal ... A constant string has one literal piece
/// at most.
class ComplexValue {
 public:
  struct Piece {
    std::string literal;                  ///< used when `variable` is empty
    std::optional<VariableRef> variable;  ///< evaluated per exchange
  };

  ComplexValue() = default;
  explicit ComplexValue(std::string constant) : source_(constant) {
    if (!constant.empty()) pieces_.push_back({std::move(constant), std::nullopt});
  }
  ComplexValue(std::string source, std::vector<Piece> pieces)
      : source_(std::move(source)), pieces_(std::move(pieces)) {}

  [[nodiscard]] bool is_constant() const noexcept {
    return pieces_.empty() || (pieces_.size() == 1 && !pieces_.front().variable);
  }
  /// The text of a constant value; empty for one with variables.
  [[nodiscard]] std::string_view constant() const noexcept {
    return pieces_.empty() || !is_constant() ? std::string_view{} : std::string_view{pieces_.front().literal};
  }
  [[nodiscard]] const std::vector<Piece>& pieces() const noexcept { return pieces_; }
  /// The text as configured, for dumps and messages.
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

 private:
  std::string source_;
  std::vector<Piece> pieces_;
};

}  // namespace gatehouse::config
