#include "waf/evaluation.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <random>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <modsecurity/transaction.h>
#include <sys/stat.h>
#include <unistd.h>

#include "waf/audit_record.hpp"
#include "waf/engine_impl.hpp"
#include "waf/library.hpp"
#include "waf/rule_match_sink.hpp"

namespace gatehouse::waf {
namespace {

using modsecurity::RulesSet;
using modsecurity::Transaction;

constexpr int kDefaultRedirect = 302;
constexpr int kBodyLimitStatus = 403;  // what the library answers

bool is_redirect(int status) { return status >= 301 && status <= 308 && status != 304; }

// A file that is read once, front to back.
class SpillFile {
 public:
  explicit SpillFile(std::string_view path) : fd_(::open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::runtime_error("cannot open the spilled body");
  }
  ~SpillFile() { ::close(fd_); }
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  [[nodiscard]] ByteCount size() const {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) throw std::runtime_error("cannot measure the spilled body");
    return static_cast<ByteCount>(info.st_size);
  }

  // Empty at the end.
  std::string_view read() {
    for (;;) {
      const ssize_t count = ::read(fd_, buffer_.data(), buffer_.size());
      if (count >= 0) return {buffer_.data(), static_cast<std::size_t>(count)};
      if (errno != EINTR) throw std::runtime_error("cannot read the spilled body");
    }
  }

 private:
  int fd_;
  std::array<char, 64 * kKiB> buffer_;
};

// Hands a body's first `limit` bytes to `append`; says whether there are more. limit 0: no limit.
template <class Append>
bool for_each_part(const BodyView& body, ByteCount limit, Append append) {
  ByteCount left = limit == 0 ? ~ByteCount{0} : limit;
  const auto take = [&](std::string_view part) {
    const auto size = static_cast<std::size_t>(std::min<ByteCount>(part.size(), left));
    if (size > 0) append(part.substr(0, size));
    left -= size;
    return size == part.size();
  };
  for (const std::string_view segment : body.segments)
    if (!take(segment)) return true;
  if (body.spill_path.empty()) return body.truncated;
  SpillFile file(body.spill_path);
  for (std::string_view part = file.read(); !part.empty(); part = file.read())
    if (!take(part)) return true;
  return body.truncated;
}

ByteCount size_of(const BodyView& body) {
  ByteCount size = 0;
  for (const std::string_view segment : body.segments) size += segment.size();
  if (!body.spill_path.empty()) size += SpillFile(body.spill_path).size();
  return size;
}

std::vector<PinnedCollection::Pin> pins_of(const Overlay& overlay) {
  std::vector<PinnedCollection::Pin> pins;
  const auto pin = [&](std::initializer_list<const char*> names, const std::optional<int>& value) {
    if (!value) return;
    for (const char* name : names) pins.push_back({name, std::to_string(*value)});
  };
  // CRS 3 and CRS 4 name them differently; a name that a rule set does not know does nothing.
  pin({"paranoia_level", "executing_paranoia_level", "blocking_paranoia_level", "detection_paranoia_level"},
      overlay.paranoia_level);
  pin({"inbound_anomaly_score_threshold"}, overlay.inbound_anomaly_threshold);
  pin({"outbound_anomaly_score_threshold"}, overlay.outbound_anomaly_threshold);
  return pins;
}

void apply(const Overlay& overlay, Transaction& transaction) {
  switch (overlay.mode) {
    case Mode::inherit: break;
    case Mode::off: transaction.m_secRuleEngine = RulesSet::DisabledRuleEngine; break;
    case Mode::detect: transaction.m_secRuleEngine = RulesSet::DetectionOnlyRuleEngine; break;
    case Mode::block: transaction.m_secRuleEngine = RulesSet::EnabledRuleEngine; break;
  }
  for (const RuleIdRange& range : overlay.removed_rules)
    transaction.m_ruleRemoveByIdRange.emplace_back(static_cast<int>(range.first), static_cast<int>(range.last));
  for (const std::string& tag : overlay.removed_tags) transaction.m_ruleRemoveByTag.push_back(tag);
  for (const RemovedTarget& removed : overlay.removed_targets) {
    const std::string& name = removed.rule_or_tag;
    int id = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (problem == std::errc{} && end == name.data() + name.size())
      transaction.m_ruleRemoveTargetById.emplace_back(id, removed.target);
    else
      transaction.m_ruleRemoveTargetByTag.emplace_back(name, removed.target);
  }
  if (auto pins = pins_of(overlay); !pins.empty()) {
    auto*& tx = transaction.m_collections.m_tx_collection;
    tx = new PinnedCollection(std::unique_ptr<modsecurity::collection::Collection>(tx), std::move(pins));
  }
}

}  // namespace

struct Evaluation::Impl {
  Impl(Engine& process_engine, std::shared_ptr<const RuleSet> rule_set, std::shared_ptr<const Overlay> route_overlay,
       std::optional<Narrowing> request_narrowing)
      : engine(process_engine.impl()),
        rules(std::move(rule_set)),
        overlay(std::move(route_overlay)),
        narrowing(std::move(request_narrowing)) {}

  // Runs one phase: its failures become waf_failed, an intervention ends the later ones.
  template <class Run>
  Result<Verdict> phase(Phase which, Run run);
  void begin(const RequestInput& input);
  Verdict take_verdict(Phase which);
  std::optional<Intervention> take_intervention(Phase which);
  Intervention refuse_body(Phase which, std::string_view what);
  void collect_denials(std::vector<RuleMatch>& matches, int status);
  [[nodiscard]] bool evaluates() const {
    return transaction && transaction->getRuleEngineState() != RulesSet::DisabledRuleEngine;
  }
  [[nodiscard]] bool blocks() const { return transaction->getRuleEngineState() == RulesSet::EnabledRuleEngine; }

  Engine::Impl& engine;
  std::shared_ptr<const RuleSet> rules;
  std::shared_ptr<const Overlay> overlay;
  std::optional<Narrowing> narrowing;
  std::shared_ptr<RulesSet> narrowed;  // null: all rules
  RuleMatchSink sink;
  std::unique_ptr<Transaction> transaction;
  std::size_t messages_seen = 0;
  std::optional<Intervention> refusal;  // ours, not the library's
  bool intervened = false;
  bool failed = false;
  bool finished = false;
};

namespace {

// As the library writes one, the time and a number below 100. Its own way asks the kernel for random bits and fills a generator of
// 2.5 KB for each transaction, which takes twice as long as all the rest of making one.
std::string make_unique_id() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  const double number = std::uniform_real_distribution<double>(0, 100)(random);
  return fmt::format("{}{:.6f}", std::time(nullptr), number);
}

}  // namespace

void Evaluation::Impl::begin(const RequestInput& input) {
  if (narrowing) narrowed = narrowing->rules->narrow(narrowing->candidates);
  RulesSet* active = narrowed ? narrowed.get() : rules->compiled().active.get();
  std::string id = input.unique_id.empty() ? make_unique_id() : std::string(input.unique_id);
  transaction = std::make_unique<Transaction>(&engine.instance, active, id.data(), &sink);
  if (overlay) apply(*overlay, *transaction);
  ++engine.transactions;
}

template <class Run>
Result<Verdict> Evaluation::Impl::phase(Phase which, Run run) {
  const bool out_of_order = (which == Phase::request_head) == (transaction != nullptr);
  if (out_of_order && !failed) ++engine.failures;
  failed = failed || out_of_order;
  if (failed) return Error{Reason::waf_failed};
  if (intervened && which != Phase::logging) return Verdict{};
  try {
    run();
    return take_verdict(which);
  } catch (...) {  // the library throws whatever it likes; nothing of it may reach the exchange
    failed = true;
    ++engine.failures;
    return Error{Reason::waf_failed};
  }
}

std::optional<Intervention> Evaluation::Impl::take_intervention(Phase which) {
  modsecurity::ModSecurityIntervention raw;
  modsecurity::intervention::clean(&raw);
  std::optional<Intervention> result = std::exchange(refusal, std::nullopt);
  if (!transaction->intervention(&raw)) return result;
  Intervention order;
  order.phase = which;
  order.status = raw.status;
  if (raw.log != nullptr) order.log = raw.log;
  if (raw.url != nullptr) {
    order.answer = Answer::redirect;
    order.url = raw.url;
    if (!is_redirect(order.status)) order.status = kDefaultRedirect;
  }
  modsecurity::intervention::free(&raw);
  const auto& marks = rules->compiled().drop_marks;
  const bool drops = std::any_of(marks.begin(), marks.end(),
                                 [&](const std::string& mark) { return order.log.find(mark) != std::string::npos; });
  if (drops && order.answer == Answer::deny) order.answer = Answer::drop;
  return order;
}

void Evaluation::Impl::collect_denials(std::vector<RuleMatch>& matches, int status) {
  auto message = transaction->m_rulesMessages.begin();
  std::advance(message, static_cast<std::ptrdiff_t>(messages_seen));
  for (; message != transaction->m_rulesMessages.end(); ++message)
    if (message->m_isDisruptive) matches.push_back(make_rule_match(*message, status));
  messages_seen = transaction->m_rulesMessages.size();
}

Verdict Evaluation::Impl::take_verdict(Phase which) {
  Verdict verdict;
  verdict.matches = sink.take();
  std::optional<Intervention> order = take_intervention(which);
  collect_denials(verdict.matches, order ? order->status : kBodyLimitStatus);
  if (which == Phase::logging || !order) return verdict;
  intervened = true;
  ++engine.interventions;
  transaction->updateStatusCode(order->status);
  verdict.intervention = std::move(order);
  return verdict;
}

Intervention Evaluation::Impl::refuse_body(Phase which, std::string_view what) {
  Intervention order;
  order.status = kBodyLimitStatus;
  order.phase = which;
  order.log = "[client " + *transaction->m_clientIpAddress + "] ModSecurity: Access denied with code " +
              std::to_string(order.status) + " (phase " + std::to_string(static_cast<int>(which)) + "). " +
              std::string(what) + " body limit is marked to reject the request [hostname \"" +
              *transaction->m_serverIpAddress + "\"] [uri \"" + transaction->m_uri.substr(0, 200) +
              "\"] [unique_id \"" + *transaction->m_id + "\"]";
  return order;
}

Evaluation::Evaluation(Engine& engine, std::shared_ptr<const RuleSet> rules, std::shared_ptr<const Overlay> overlay,
                       std::optional<Narrowing> narrowing)
    : impl_(std::make_unique<Impl>(engine, std::move(rules), std::move(overlay), std::move(narrowing))) {}

Evaluation::~Evaluation() = default;
Evaluation::Evaluation(Evaluation&&) noexcept = default;
Evaluation& Evaluation::operator=(Evaluation&&) noexcept = default;

Result<Verdict> Evaluation::request_head(const RequestInput& input) {
  return impl_->phase(Phase::request_head, [&] {
    impl_->begin(input);
    Transaction& transaction = *impl_->transaction;
    const std::string client(input.client.text), server(input.server.text);
    const std::string uri(input.uri), method(input.method), version(input.version);
    transaction.processConnection(client.c_str(), input.client.port, server.c_str(), input.server.port);
    transaction.processURI(uri.c_str(), method.c_str(), version.c_str());
    for (const HeaderView& header : input.headers)
      transaction.addRequestHeader(std::string(header.name), std::string(header.value));
    transaction.processRequestHeaders();
  });
}

bool Evaluation::wants_request_body() const noexcept {
  if (impl_->failed || impl_->intervened || !impl_->evaluates()) return false;
  // ctl:requestBodyAccess of a phase 1 rule wins over the directive.
  if (impl_->transaction->m_requestBodyAccess != RulesSet::PropertyNotSetConfigBoolean)
    return impl_->transaction->m_requestBodyAccess == RulesSet::TrueConfigBoolean;
  return impl_->rules->facts().request_body_access;
}

BodyLimit Evaluation::request_body_limit() const noexcept {
  BodyLimit limit = impl_->rules->facts().request_body;
  if (const Overlay* overlay = impl_->overlay.get()) {
    if (overlay->request_body_limit) limit.bytes = *overlay->request_body_limit;
    if (overlay->body_limit_policy) limit.policy = *overlay->body_limit_policy;
  }
  const bool cannot_reject = impl_->transaction && !impl_->blocks();
  if (limit.policy == BodyLimitPolicy::reject && cannot_reject) limit.policy = BodyLimitPolicy::inspect_prefix;
  return limit;
}

Result<Verdict> Evaluation::request_body(const BodyView& body) {
  return impl_->phase(Phase::request_body, [&] {
    Transaction& transaction = *impl_->transaction;
    if (wants_request_body()) {
      const BodyLimit limit = request_body_limit();
      const bool too_long = body.truncated || (limit.bytes > 0 && size_of(body) > limit.bytes);
      if (too_long) transaction.m_variableInboundDataError.set("1", transaction.m_variableOffset);
      if (too_long && limit.policy == BodyLimitPolicy::reject) {
        impl_->refusal = impl_->refuse_body(Phase::request_body, "Request");
        return;
      }
      if (!too_long || limit.policy == BodyLimitPolicy::inspect_prefix)
        for_each_part(body, limit.bytes, [&](std::string_view part) {
          transaction.appendRequestBody(reinterpret_cast<const unsigned char*>(part.data()), part.size());
        });
    }
    transaction.processRequestBody();
  });
}

Result<Verdict> Evaluation::response_head(const ResponseInput& input) {
  return impl_->phase(Phase::response_head, [&] {
    for (const HeaderView& header : input.headers)
      impl_->transaction->addResponseHeader(std::string(header.name), std::string(header.value));
    impl_->transaction->processResponseHeaders(input.status, std::string(input.protocol));
  });
}

bool Evaluation::wants_response_body() const noexcept {
  if (impl_->failed || impl_->intervened || !impl_->evaluates()) return false;
  return impl_->rules->inspects_response_type(impl_->transaction->m_variableResponseContentType.m_value);
}

BodyLimit Evaluation::response_body_limit() const noexcept {
  BodyLimit limit = impl_->rules->facts().response_body;
  const bool cannot_reject = impl_->transaction && !impl_->blocks();
  if (limit.policy == BodyLimitPolicy::reject && cannot_reject) limit.policy = BodyLimitPolicy::inspect_prefix;
  return limit;
}

Result<Verdict> Evaluation::response_body(const BodyView& body) {
  return impl_->phase(Phase::response_body, [&] {
    Transaction& transaction = *impl_->transaction;
    if (wants_response_body()) {
      const BodyLimit limit = response_body_limit();
      const bool too_long = body.truncated || (limit.bytes > 0 && size_of(body) > limit.bytes);
      if (too_long) transaction.m_variableOutboundDataError.set("1", transaction.m_variableOffset);
      if (too_long && limit.policy == BodyLimitPolicy::reject) {
        impl_->refusal = impl_->refuse_body(Phase::response_body, "Response");
        return;
      }
      for_each_part(body, limit.bytes, [&](std::string_view part) {
        transaction.appendResponseBody(reinterpret_cast<const unsigned char*>(part.data()), part.size());
      });
    }
    transaction.processResponseBody();
  });
}

Result<Verdict> Evaluation::finish(int status) {
  if (impl_->finished || !impl_->transaction) return Verdict{};
  impl_->finished = true;
  return impl_->phase(Phase::logging, [&] {
    Transaction& transaction = *impl_->transaction;
    if (status != 0) transaction.updateStatusCode(status);
    transaction.processLogging();
    if (!impl_->evaluates()) return;
    if (auto record = make_audit_record(transaction, impl_->rules->facts().audit))
      impl_->engine.audit.submit(std::move(*record));
  });
}

std::optional<std::string> Evaluation::transaction_variable(std::string_view name) const {
  if (!impl_->transaction) return std::nullopt;
  const auto value = impl_->transaction->m_collections.m_tx_collection->resolveFirst(std::string(name));
  return value ? std::optional(*value) : std::nullopt;
}

std::string Evaluation::unique_id() const {
  return impl_->transaction && impl_->transaction->m_id ? *impl_->transaction->m_id : std::string();
}

Result<Verdict> evaluate_request(Evaluation& evaluation, const RequestInput& input) {
  Result<Verdict> head = evaluation.request_head(input);
  if (!head || head->intervention) return head;
  Result<Verdict> body = evaluation.request_body(input.body);
  if (!body) return body;
  auto& matches = head->matches;
  matches.insert(matches.end(), std::make_move_iterator(body->matches.begin()),
                 std::make_move_iterator(body->matches.end()));
  head->intervention = std::move(body->intervention);
  return head;
}

}  // namespace gatehouse::waf
