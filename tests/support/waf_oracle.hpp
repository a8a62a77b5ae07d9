// libmodsecurity as the judge of the fast path: did it see, log, score or store anything?
#pragma once

#include <memory>
#include <string>

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>

#include "waf/fastpath/build.hpp"
#include "waf_requests.hpp"

namespace gatehouse::waf::test {

/// What the library did with one message; empty if nothing.
struct Findings {
  std::string what;
  /// All that can be seen of the evaluation: what each rule that matched says, in order, the intervention, and TX.
  std::string trace;
  [[nodiscard]] bool none() const noexcept { return what.empty(); }
};

/// One library instance whose log callback and persistent collections count what reaches them.
class Oracle {
 public:
  Oracle();
  ~Oracle();
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  [[nodiscard]] modsecurity::ModSecurity& engine();

  /// Findings::trace shows this member of TX from now on.
  void watch(const std::string& member);

  /// Runs every phase over the request, and over the response if one is given, up to an intervention, and the logging phase.
  [[nodiscard]] Findings run(modsecurity::RulesSet& rules, const RequestInput& request,
                             const ResponseInput* response = nullptr);

 private:
  struct State;
  struct Run;
  [[nodiscard]] std::string trace_of(const Run& run) const;
  std::unique_ptr<State> state_;
};

/// A rule set in both forms.
struct LoadedPair {
  std::shared_ptr<modsecurity::RulesSet> rules;
  fastpath::UnderstoodRules understood;
  fastpath::BuiltFastPath built;
};

/// Loads `text` under the name `name`. Throws std::runtime_error with the library's words if the library refuses it.
[[nodiscard]] LoadedPair load_pair(Oracle& oracle, const std::string& text, const std::string& name,
                                   const Overlay* overlay = nullptr);

}  // namespace gatehouse::waf::test
