#include "waf/rule_set.hpp"

#include <utility>

#include "waf/library.hpp"

namespace gatehouse::waf {
namespace {

std::string describe(const SourceLocation& location, const std::string& message, const std::string& remedy) {
  std::string text = location.file;
  if (location.line != 0) text += ":" + std::to_string(location.line);
  if (!text.empty()) text += ": ";
  text += message;
  if (!remedy.empty()) text += "; " + remedy;
  return text;
}

}  // namespace

RuleSetError::RuleSetError(SourceLocation location, std::string message, std::string remedy)
    : std::runtime_error(describe(location, message, remedy)),
      location_(std::move(location)),
      message_(std::move(message)),
      remedy_(std::move(remedy)) {}

RuleSet::RuleSet(std::unique_ptr<Compiled> compiled, RuleSetFacts facts, std::vector<LoadedText> texts,
                 std::string hash)
    : compiled_(std::move(compiled)), facts_(std::move(facts)), texts_(std::move(texts)), hash_(std::move(hash)) {}

RuleSet::~RuleSet() = default;

bool RuleSet::inspects_response_type(std::string_view content_type) const {
  if (!facts_.response_body_access) return false;
  if (facts_.all_response_types) return true;
  // As the library splits it: everything before the first ';', compared byte for byte.
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return facts_.response_types.find(type) != facts_.response_types.end();
}

}  // namespace gatehouse::waf
