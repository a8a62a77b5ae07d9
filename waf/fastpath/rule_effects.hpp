// What a full match of a rule does, as far as it can be seen or changes what runs afterwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "waf/fastpath/plan.hpp"

namespace gatehouse::waf::fastpath {

/// What a full match of a rule does, as far as it can be seen or changes what runs afterwards.
struct Effects {
  std::string alarm;                     ///< not empty: why the library must see a match
  std::vector<std::string> skip_after;   ///< markers
  std::vector<std::string> removed_ids;  ///< "942100", "1-5"
  std::vector<std::string> removed_tags;
  bool may_end = false;  ///< allow: later rules may not run
  std::optional<BodyProcessor> body_processor;
  std::string refusal;  ///< not empty: the whole set cannot have a fast path if this may happen
};

/// Adds what one action does. setvar is not looked at: it runs by link, even if the chain fails later.
void add_effect(const Action& action, Effects& effects);

}  // namespace gatehouse::waf::fastpath
