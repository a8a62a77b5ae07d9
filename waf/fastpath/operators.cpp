#include "waf/fastpath/operators.hpp"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "waf/fastpath/operator_checks.hpp"
#include "waf/fastpath/pattern_translation.hpp"
#include "waf/fastpath/transformation_steps.hpp"

// Exported by libmodsecurity without a header of their own: the very functions its operators call.
extern "C" {
char* parse_pm_content(const char* parameter, unsigned short length, const char** error);
int create_radix_tree(void** tree, char** error);
int add_ip_from_param(const char* parameter, void** tree, char** error);
int tree_contains_ip(void* tree, const char* address, char** error);
}

namespace gatehouse::waf::fastpath {
namespace {

/// What the library keeps per rule of @ipMatch. Its tree has no destructor of its own; rules live as long as the
/// process keeps their set, so that the leak per rule is the library's too.
class AddressTree {
 public:
  explicit AddressTree(const std::string& parameter) {
    char* error = nullptr;
    if (create_radix_tree(&tree_, &error) != 0) tree_ = nullptr;
    // As IpTree::addFromBuffer: line by line, comments cut, what comes after the first bad entry is not read.
    std::istringstream lines(parameter);
    for (std::string line; tree_ != nullptr && std::getline(lines, line);) {
      if (add_ip_from_param(line.substr(0, line.find('#')).c_str(), &tree_, &error) != 0) return;
    }
    complete_ = tree_ != nullptr;
  }

  /// False when an entry was refused: the library then refuses the rule.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

  [[nodiscard]] bool has(std::string_view address) const {
    char* error = nullptr;
    return tree_contains_ip(tree_, std::string(address).c_str(), &error) > 0;
  }

 private:
  void* tree_ = nullptr;
  bool complete_ = false;
};

}  // namespace

/// What an operator prepares from a constant parameter.
struct ExactOperator::Compiled {
  std::optional<ExactPattern> pattern;
  std::optional<ByteRange> range;
  std::optional<AddressTree> addresses;
};

ExactOperator::ExactOperator(OperatorKind kind, bool negated, std::string parameter)
    : kind_(kind), negated_(negated), parameter_(std::move(parameter)), compiled_(std::make_unique<Compiled>()) {}
ExactOperator::~ExactOperator() = default;
ExactOperator::ExactOperator(ExactOperator&&) noexcept = default;
ExactOperator& ExactOperator::operator=(ExactOperator&&) noexcept = default;

std::optional<ExactOperator> ExactOperator::compile(const Operator& op, std::string& refusal) {
  if (op.has_macro && (op.kind == OperatorKind::validate_byte_range || op.kind == OperatorKind::ip_match)) {
    refusal = "a macro in the parameter of @" + std::string(name(op.kind));
    return std::nullopt;
  }
  ExactOperator compiled(op.kind, op.negated, op.parameter);
  switch (op.kind) {
    case OperatorKind::begins_with:
    case OperatorKind::contains:
    case OperatorKind::contains_word:
    case OperatorKind::detect_sqli:
    case OperatorKind::detect_xss:
    case OperatorKind::ends_with:
    case OperatorKind::eq:
    case OperatorKind::ge:
    case OperatorKind::gt:
    case OperatorKind::le:
    case OperatorKind::lt:
    case OperatorKind::str_eq:
    case OperatorKind::str_match:
    case OperatorKind::unconditional_match:
    case OperatorKind::validate_url_encoding:
    case OperatorKind::validate_utf8_encoding:
    case OperatorKind::within: return compiled;
    case OperatorKind::rx:
      if (!op.has_macro) compiled.compiled_->pattern.emplace(op.parameter);
      return compiled;
    case OperatorKind::validate_byte_range:
      compiled.compiled_->range = ByteRange::parse(op.parameter);
      if (compiled.compiled_->range) return compiled;
      refusal = "@validateByteRange names a byte outside 0-255";
      return std::nullopt;
    case OperatorKind::ip_match:
      compiled.compiled_->addresses.emplace(op.parameter);
      if (compiled.compiled_->addresses->complete()) return compiled;
      refusal = "@ipMatch has an address the library refuses";
      return std::nullopt;
    case OperatorKind::pm:
    case OperatorKind::pm_from_file: refusal = "@pm is known as a superset only"; return std::nullopt;
    case OperatorKind::fuzzy_hash:
    case OperatorKind::geo_lookup:
    case OperatorKind::gsb_lookup:
    case OperatorKind::inspect_file:
    case OperatorKind::ip_match_from_file:
    case OperatorKind::rbl:
    case OperatorKind::rsub:
    case OperatorKind::rx_global:
    case OperatorKind::validate_dtd:
    case OperatorKind::validate_hash:
    case OperatorKind::validate_schema:
    case OperatorKind::verify_cc:
    case OperatorKind::verify_cpf:
    case OperatorKind::verify_ssn:
    case OperatorKind::verify_svnr: refusal = "no native form of @" + std::string(name(op.kind)); return std::nullopt;
  }
  refusal = "unknown operator";
  return std::nullopt;
}

bool ExactOperator::matches(std::string_view value, ByteClasses classes, ExactScratch& scratch) const {
  switch (kind_) {
    case OperatorKind::rx:
      if (compiled_->pattern) return compiled_->pattern->matches(value, scratch) != negated_;
      break;
    case OperatorKind::validate_byte_range: return compiled_->range->violated_by(value) != negated_;
    case OperatorKind::ip_match: return compiled_->addresses->has(value) != negated_;
    default: break;
  }
  return holds(parameter_, value, classes, scratch) != negated_;
}

bool ExactOperator::matches_with(std::string_view parameter, std::string_view value, ByteClasses classes,
                                 ExactScratch& scratch) const {
  return holds(parameter, value, classes, scratch) != negated_;
}

bool ExactOperator::holds(std::string_view parameter, std::string_view value, ByteClasses classes,
                          ExactScratch& scratch) const {
  switch (kind_) {
    case OperatorKind::begins_with: return value.starts_with(parameter);
    case OperatorKind::contains:
    case OperatorKind::str_match: return value.find(parameter) != std::string_view::npos;
    case OperatorKind::contains_word: return contains_word(parameter, value);
    case OperatorKind::detect_sqli: return detect_sqli(value, classes);
    case OperatorKind::detect_xss: return detect_xss(value, classes);
    case OperatorKind::ends_with: return value.ends_with(parameter);
    case OperatorKind::eq: return library_stoi(value) == library_stoi(parameter);
    case OperatorKind::ge: return library_atoll(value) >= library_atoll(parameter);
    case OperatorKind::gt: return library_atoll(value) > library_atoll(parameter);
    case OperatorKind::le: return library_atoll(value) <= library_atoll(parameter);
    case OperatorKind::lt: return library_atoll(value) < library_atoll(parameter);
    case OperatorKind::str_eq: return value == parameter;
    case OperatorKind::unconditional_match: return true;
    case OperatorKind::validate_url_encoding: return invalid_url_encoding(value);
    case OperatorKind::validate_utf8_encoding: return intersects(classes, ByteClasses::high) && invalid_utf8(value);
    case OperatorKind::within: return value.empty() || parameter.find(value) != std::string_view::npos;
    case OperatorKind::rx: return ExactPattern(std::string(parameter)).matches(value, scratch);
    default: return true;  // compile() lets no other operator through; "matches" is the side that proves nothing
  }
}

const ExactPattern* ExactOperator::pattern() const noexcept {
  return compiled_->pattern ? &*compiled_->pattern : nullptr;
}

std::vector<std::string> pm_phrases(const std::string& parameter) {
  const char* error = nullptr;
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  const std::unique_ptr<char, Free> content(
      parse_pm_content(parameter.c_str(), static_cast<unsigned short>(parameter.size()), &error));
  std::istringstream words(content ? content.get() : parameter);
  std::vector<std::string> phrases;
  for (std::string word; words >> word;) phrases.push_back(word);
  return phrases;
}

std::vector<std::string> pm_file_phrases(std::string_view text) {
  std::vector<std::string> phrases;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t hash = line.find('#');
    const bool only_blanks_before = std::ranges::all_of(
        line.substr(0, hash), [](char c) { return steps::is_space(static_cast<unsigned char>(c)); });
    if (!line.empty() && (hash == std::string_view::npos || !only_blanks_before)) phrases.emplace_back(line);
  }
  return phrases;
}

std::optional<std::string> union_pattern(const Operator& op, const std::vector<std::string>& phrases) {
  if (op.negated || op.has_macro) return std::nullopt;
  const std::string exact = phrase_pattern(op.parameter, false);
  switch (op.kind) {
    case OperatorKind::contains:
    case OperatorKind::contains_word:
    case OperatorKind::str_match: return op.parameter.empty() ? std::nullopt : std::optional(exact);
    case OperatorKind::begins_with: return op.parameter.empty() ? std::nullopt : std::optional("\\A" + exact);
    case OperatorKind::ends_with: return op.parameter.empty() ? std::nullopt : std::optional(exact + "\\z");
    case OperatorKind::str_eq: return "\\A" + exact + "\\z";
    case OperatorKind::pm:
    case OperatorKind::pm_from_file: {
      std::string any;
      for (const std::string& phrase : phrases) {
        if (phrase.empty()) return std::nullopt;
        any += (any.empty() ? "" : "|") + phrase_pattern(phrase, true);
      }
      return any.empty() ? std::string("[^\\x00-\\xff]") : any;
    }
    default: return std::nullopt;
  }
}

std::optional<pcre::Node> union_tree(const Operator& op, const std::vector<std::string>& phrases) {
  if (!union_pattern(op, phrases)) return std::nullopt;
  pcre::Node tree = phrase_tree(op.parameter, false);
  pcre::Node start;
  start.kind = pcre::NodeKind::text_start;
  pcre::Node end;
  end.kind = pcre::NodeKind::text_end;
  switch (op.kind) {
    case OperatorKind::pm:
    case OperatorKind::pm_from_file:
      if (phrases.empty()) return std::nullopt;
      tree = pcre::Node();
      tree.kind = pcre::NodeKind::choice;
      for (const std::string& phrase : phrases) tree.children.push_back(phrase_tree(phrase, true));
      return tree;
    case OperatorKind::begins_with: tree.children.insert(tree.children.begin(), std::move(start)); return tree;
    case OperatorKind::ends_with: tree.children.push_back(std::move(end)); return tree;
    case OperatorKind::str_eq:
      tree.children.insert(tree.children.begin(), std::move(start));
      tree.children.push_back(std::move(end));
      return tree;
    default: return tree;
  }
}

}  // namespace gatehouse::waf::fastpath
