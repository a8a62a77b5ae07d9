// One level's rules on top of its parent's: libmodsecurity's loading with its errors made useful.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// A level with its texts read and its hash known, before anything is compiled.
struct PreparedLevel {
  const RuleLevel* level = nullptr;
  std::vector<LoadedText>
      pieces;  ///< one for each piece that is text or a file, normalised; empty text for a remote one
  std::vector<LoadedText> texts;  ///< pieces and what they include
  std::string hash;               ///< of this level and all outer ones
};

/// Reads a level's files and normalises its texts. `outer_hash` is the hash of the level around it, empty for the
/// outermost; `index` the level's number. Throws RuleSetError.
[[nodiscard]] PreparedLevel prepare_level(const RuleLevel& level, std::string_view outer_hash, std::size_t index,
                                          std::size_t fetch);

/// Called before each piece is given to the library, so that a crash can be blamed on it.
using PieceObserver = std::function<void(const SourceLocation&)>;

/// Compiles a prepared level and merges `outer` behind it. Throws RuleSetError. One caller at a time in a process: the
/// library's parser has global state.
[[nodiscard]] std::shared_ptr<const RuleSet> compile_level(PreparedLevel level, std::shared_ptr<const RuleSet> outer,
                                                           const PieceObserver& observer = {});

/// The set without any rule.
[[nodiscard]] std::shared_ptr<const RuleSet> empty_rule_set();

}  // namespace gatehouse::waf
