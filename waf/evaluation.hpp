// One WAF transaction, evaluated by libmodsecurity phase by phase.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "waf/engine.hpp"
#include "waf/narrowed_rules.hpp"
#include "waf/overlay.hpp"
#include "waf/rule_set.hpp"
#include "waf/transaction_input.hpp"
#include "waf/verdict.hpp"

namespace gatehouse::waf {

/// One transaction. Call the phases in order, each at most once; phases that do not apply may be left out, finish() may
/// not. Any thread may call, one at a time; a call takes 0.1 to 60 ms of CPU, so never call from an event loop. After
/// an intervention the later phases return a clean verdict without evaluating; finish() still runs.
///
/// No exception escapes: a failure of the engine is Reason::waf_failed, and every later phase fails the same way. What
/// that means for the request is the caller's policy (Overlay::on_error).
class Evaluation {
 public:
  /// `engine` must outlive the evaluation; rule set and overlay are kept alive by it. No overlay: the rule set as it
  /// is. `narrowing`: which of the rules are evaluated for this request; nothing: all.
  Evaluation(Engine& engine, std::shared_ptr<const RuleSet> rules, std::shared_ptr<const Overlay> overlay = nullptr,
             std::optional<Narrowing> narrowing = std::nullopt);
  ~Evaluation();
  Evaluation(Evaluation&&) noexcept;
  Evaluation& operator=(Evaluation&&) noexcept;

  /// Connection, URI and request header phases. `input.uri` has passed guard_request_target(); `input.body` is not
  /// read.
  [[nodiscard]] Result<Verdict> request_head(const RequestInput& input);

  /// Whether phase 2 looks at the body, so that it is worth collecting. Valid after request_head().
  [[nodiscard]] bool wants_request_body() const noexcept;
  /// How much of the body is to be collected and what is to happen beyond it. Valid after request_head().
  [[nodiscard]] BodyLimit request_body_limit() const noexcept;

  /// Phase 2. Must be called for every request, with an empty body where there is none or wants_request_body() is
  /// false.
  ///
  /// A body longer than request_body_limit(), or marked truncated, sets INBOUND_DATA_ERROR. Under `reject` it is an
  /// Intervention with status 403 as libmodsecurity answers, without evaluation (in DetectionOnly: as inspect_prefix);
  /// under `inspect_prefix` its beginning is inspected; under `pass` nothing of it.
  [[nodiscard]] Result<Verdict> request_body(const BodyView& body);

  /// Phase 3. `input.body` is not read.
  [[nodiscard]] Result<Verdict> response_head(const ResponseInput& input);
  /// Whether phase 4 looks at this response's body. Valid after response_head().
  [[nodiscard]] bool wants_response_body() const noexcept;
  [[nodiscard]] BodyLimit response_body_limit() const noexcept;
  /// Phase 4; limits as in request_body(), with OUTBOUND_DATA_ERROR.
  [[nodiscard]] Result<Verdict> response_body(const BodyView& body);

  /// Phase 5, and the audit record if it is due. `status` is what the client was sent; 0: as response_head() or the
  /// intervention said. Its verdict never holds an intervention.
  [[nodiscard]] Result<Verdict> finish(int status = 0);

  /// A TX variable as it is now ("anomaly_score"), for tests and comparisons.
  [[nodiscard]] std::optional<std::string> transaction_variable(std::string_view name) const;
  /// The transaction's unique id; valid after request_head().
  [[nodiscard]] std::string unique_id() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Phases 1 and 2 in one call, as the exchange does when the body is already there; the phases' matches in one verdict.
[[nodiscard]] Result<Verdict> evaluate_request(Evaluation& evaluation, const RequestInput& input);

}  // namespace gatehouse::waf
