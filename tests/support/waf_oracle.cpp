#include "waf_oracle.hpp"

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include <modsecurity/rule_message.h>
#include <modsecurity/transaction.h>

#include "waf/fastpath/link_folding.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::test {
namespace {

/// Counts writes and holds nothing.
class CountingCollection final : public modsecurity::collection::Collection {
 public:
  explicit CountingCollection(std::size_t& writes) : Collection("counted"), writes_(writes) {}
  using Collection::del;
  using Collection::resolveFirst;
  using Collection::resolveMultiMatches;
  using Collection::resolveRegularExpression;
  using Collection::resolveSingleMatch;
  using Collection::store;
  using Collection::storeOrUpdateFirst;
  using Collection::updateFirst;

  void store(std::string /*key*/, std::string /*value*/) override { ++writes_; }
  bool storeOrUpdateFirst(const std::string& /*key*/, const std::string& /*value*/) override {
    ++writes_;
    return true;
  }
  bool updateFirst(const std::string& /*key*/, const std::string& /*value*/) override {
    ++writes_;
    return true;
  }
  void del(const std::string& /*key*/) override { ++writes_; }
  std::unique_ptr<std::string> resolveFirst(const std::string& /*var*/) override { return nullptr; }
  void resolveSingleMatch(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/) override {}
  void resolveMultiMatches(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/,
                           modsecurity::variables::KeyExclusions& /*ke*/) override {}
  void resolveRegularExpression(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/,
                                modsecurity::variables::KeyExclusions& /*ke*/) override {}

 private:
  std::size_t& writes_;
};

constexpr std::array scores{"anomaly_score",
                            "anomaly_score_pl1",
                            "anomaly_score_pl2",
                            "anomaly_score_pl3",
                            "anomaly_score_pl4",
                            "outbound_anomaly_score",
                            "inbound_anomaly_score",
                            "sql_injection_score",
                            "xss_score",
                            "blocking_inbound_anomaly_score",
                            "detection_inbound_anomaly_score"};

}  // namespace

struct Oracle::State {
  State() {
    engine.setServerLogCb(
        [](void* counter, const void*) {
          if (counter != nullptr) ++*static_cast<std::size_t*>(counter);
        },
        modsecurity::RuleMessageLogProperty);
    for (auto& collection : collections) collection = std::make_unique<CountingCollection>(writes);
  }

  modsecurity::ModSecurity engine;
  std::size_t writes = 0;
  std::set<std::string> members{"0",   "1",   "2",   "p_",       "p_0",      "p_1",
                                "p_2", "p_a", "p_b", "p_ARGS:a", "c_ARGS:a", "c_a"};  // of TX, to show
  std::array<std::unique_ptr<CountingCollection>, 5> collections;
};

Oracle::Oracle() : state_(std::make_unique<State>()) {}
Oracle::~Oracle() = default;
modsecurity::ModSecurity& Oracle::engine() { return state_->engine; }
void Oracle::watch(const std::string& member) { state_->members.insert(member); }

struct Oracle::Run {
  Run(State& state, modsecurity::RulesSet& rules, const RequestInput& request, const ResponseInput* response);

  /// Whether a rule of the phase that just ran stops the request.
  [[nodiscard]] bool interrupted();
  void respond(const ResponseInput& response);

  std::size_t logged = 0;
  std::string interventions;
  modsecurity::Transaction t;
};

bool Oracle::Run::interrupted() {
  modsecurity::ModSecurityIntervention order;
  modsecurity::intervention::clean(&order);
  if (!t.intervention(&order)) return false;
  interventions += "intervention " + std::to_string(order.status);
  modsecurity::intervention::free(&order);
  return true;
}

void Oracle::Run::respond(const ResponseInput& response) {
  for (const auto& header : response.headers) t.addResponseHeader(std::string(header.name), std::string(header.value));
  t.processResponseHeaders(response.status, std::string(response.protocol));
  if (interrupted()) return;
  for (const auto segment : response.body.segments) {
    t.appendResponseBody(reinterpret_cast<const unsigned char*>(segment.data()), segment.size());
  }
  t.processResponseBody();
  static_cast<void>(interrupted());
}

Oracle::Run::Run(State& state, modsecurity::RulesSet& rules, const RequestInput& request, const ResponseInput* response)
    : t(&state.engine, &rules, &logged) {
  state.writes = 0;
  t.m_collections.m_global_collection = state.collections[0].get();
  t.m_collections.m_ip_collection = state.collections[1].get();
  t.m_collections.m_session_collection = state.collections[2].get();
  t.m_collections.m_user_collection = state.collections[3].get();
  t.m_collections.m_resource_collection = state.collections[4].get();

  const std::string client(request.client.text);
  const std::string server(request.server.text);
  t.processConnection(client.c_str(), request.client.port, server.c_str(), request.server.port);
  t.processURI(std::string(request.uri).c_str(), std::string(request.method).c_str(),
               std::string(request.version).c_str());
  for (const auto& header : request.headers) t.addRequestHeader(std::string(header.name), std::string(header.value));
  t.processRequestHeaders();
  if (!interrupted()) {
    for (const auto segment : request.body.segments) {
      t.appendRequestBody(reinterpret_cast<const unsigned char*>(segment.data()), segment.size());
    }
    t.processRequestBody();
    if (!interrupted() && response != nullptr) respond(*response);
  }
  t.processLogging();
}

/// Findings::trace.
std::string Oracle::trace_of(const Run& run) const {
  std::string text;
  for (const auto& message : run.t.m_rulesMessages) {
    text += std::to_string(message.m_ruleId) + " " + message.m_match + " | " + message.m_message + " | " +
            message.m_data + " | " + message.m_reference + (message.m_isDisruptive ? " | disruptive\n" : "\n");
  }
  text +=
      run.interventions + " logged " + std::to_string(run.logged) + " stored " + std::to_string(state_->writes) + "\n";
  for (const std::string& name : state_->members) {
    const auto value = run.t.m_collections.m_tx_collection->resolveFirst(name);
    if (value) text += name + "=" + *value + "\n";
  }
  return text;
}

Findings Oracle::run(modsecurity::RulesSet& rules, const RequestInput& request, const ResponseInput* response) {
  const Run run(*state_, rules, request, response);
  const auto& t = run.t;
  Findings findings;
  for (const auto& message : t.m_rulesMessages) findings.what += " rule " + std::to_string(message.m_ruleId);
  if (!run.interventions.empty()) findings.what += " intervention";
  if (run.logged != 0) findings.what += " logged";
  if (state_->writes != 0) findings.what += " stored";
  for (const char* score : scores) {
    const auto value = t.m_collections.m_tx_collection->resolveFirst(score);
    if (value && *value != "0") findings.what += " " + std::string(score) + "=" + *value;
  }
  findings.trace = trace_of(run);
  return findings;
}

LoadedPair load_pair(Oracle& oracle, const std::string& text, const std::string& name, const Overlay* overlay) {
  LoadedPair pair;
  pair.rules = std::make_shared<modsecurity::RulesSet>();
  if (pair.rules->load(text.c_str(), name) < 0) throw std::runtime_error(pair.rules->getParserError());
  const std::vector<fastpath::RuleSource> sources{{name, text}};
  pair.understood = fastpath::understand(sources, *pair.rules, oracle.engine());
  pair.built = fastpath::build(pair.understood, overlay);
  const auto add_members = [&](const fastpath::Rule& rule) {
    for (const auto& action : rule.actions) {
      const auto set =
          action.kind == fastpath::ActionKind::setvar ? fastpath::parse_setvar(action.argument) : std::nullopt;
      const auto name = set ? fastpath::constant_text(set->name) : std::nullopt;
      if (name) oracle.watch(*name);
    }
  };
  for (const auto& rule : pair.understood.rules.rules) {
    add_members(rule);
    for (const auto& link : rule.chain) add_members(link);
  }
  return pair;
}

}  // namespace gatehouse::waf::test
