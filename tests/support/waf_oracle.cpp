#include "waf_oracle.hpp"

#include <array>
#include <stdexcept>
#include <vector>

#include <modsecurity/rule_message.h>
#include <modsecurity/transaction.h>

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

/// Findings::trace.
[[nodiscard]] std::string trace_of(const modsecurity::Transaction& t, std::size_t logged, std::size_t writes) {
  std::string text;
  for (const auto& message : t.m_rulesMessages) {
    text += std::to_string(message.m_ruleId) + " " + message.m_match + " | " + message.m_message + " | " +
            message.m_data + " | " + message.m_reference + (message.m_isDisruptive ? " | disruptive\n" : "\n");
  }
  text += "disruptive " + std::to_string(t.m_it.disruptive) + " status " + std::to_string(t.m_it.status) + " logged " +
          std::to_string(logged) + " stored " + std::to_string(writes) + "\n";
  constexpr std::array others{"0", "1",  "2",   "level", "mode", "n",   "u",   "v",
                              "w", "p_", "p_0", "p_1",   "p_2",  "p_a", "p_b", "p_ARGS:a"};
  const auto show = [&](const char* name) {
    const auto value = t.m_collections.m_tx_collection->resolveFirst(name);
    if (value) text += std::string(name) + "=" + *value + "\n";
  };
  for (const char* name : scores) show(name);
  for (const char* name : others) show(name);
  return text;
}

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
  std::array<std::unique_ptr<CountingCollection>, 5> collections;
};

Oracle::Oracle() : state_(std::make_unique<State>()) {}
Oracle::~Oracle() = default;
modsecurity::ModSecurity& Oracle::engine() { return state_->engine; }

struct Oracle::Run {
  Run(State& state, modsecurity::RulesSet& rules, const RequestInput& request, const ResponseInput* response);

  std::size_t logged = 0;
  modsecurity::Transaction t;
};

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
  for (const auto segment : request.body.segments) {
    t.appendRequestBody(reinterpret_cast<const unsigned char*>(segment.data()), segment.size());
  }
  t.processRequestBody();
  if (response != nullptr) {
    for (const auto& header : response->headers)
      t.addResponseHeader(std::string(header.name), std::string(header.value));
    t.processResponseHeaders(response->status, std::string(response->protocol));
    for (const auto segment : response->body.segments) {
      t.appendResponseBody(reinterpret_cast<const unsigned char*>(segment.data()), segment.size());
    }
    t.processResponseBody();
  }
  t.processLogging();
}

Findings Oracle::run(modsecurity::RulesSet& rules, const RequestInput& request, const ResponseInput* response) {
  const Run run(*state_, rules, request, response);
  const auto& t = run.t;
  Findings findings;
  for (const auto& message : t.m_rulesMessages) findings.what += " rule " + std::to_string(message.m_ruleId);
  if (t.m_it.disruptive != 0) findings.what += " intervention";
  if (run.logged != 0) findings.what += " logged";
  if (state_->writes != 0) findings.what += " stored";
  for (const char* score : scores) {
    const auto value = t.m_collections.m_tx_collection->resolveFirst(score);
    if (value && *value != "0") findings.what += " " + std::string(score) + "=" + *value;
  }
  findings.trace = trace_of(t, run.logged, state_->writes);
  return findings;
}

LoadedPair load_pair(Oracle& oracle, const std::string& text, const std::string& name, const Overlay* overlay) {
  LoadedPair pair;
  pair.rules = std::make_shared<modsecurity::RulesSet>();
  if (pair.rules->load(text.c_str(), name) < 0) throw std::runtime_error(pair.rules->getParserError());
  const std::vector<fastpath::RuleSource> sources{{name, text}};
  pair.understood = fastpath::understand(sources, *pair.rules, oracle.engine());
  pair.built = fastpath::build(pair.understood, overlay);
  return pair;
}

}  // namespace gatehouse::waf::test
