// A transaction that exists only to hear what the library says about a rule.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <modsecurity/collection/collection.h>
#include <modsecurity/debug_log.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rule_with_operator.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// Runs single rules on a transaction whose every collection holds at least one value. Only .cpp files include this.
class Probe {
 public:
  /// Replaces `loaded`'s debug log until destruction. Persistent collections are replaced by empty ones.
  Probe(modsecurity::ModSecurity& engine, modsecurity::RulesSet& loaded);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  /// Evaluates `theirs` alone (with its chain if it matches) and returns the debug messages.
  [[nodiscard]] std::vector<std::string> run(const Rule& ours, modsecurity::RuleWithOperator& theirs);

 private:
  class Recorder;
  void provide(const Variable& variable);
  [[nodiscard]] modsecurity::AnchoredSetVariable* collection(VariableKind kind);

  modsecurity::RulesSet& loaded_;
  modsecurity::debug_log::DebugLog* original_;
  std::unique_ptr<Recorder> recorder_;
  std::array<std::unique_ptr<modsecurity::collection::Collection>, 5> empty_;
  std::unique_ptr<modsecurity::Transaction> transaction_;
};

}  // namespace gatehouse::waf::fastpath
