#include "waf/fastpath/probe.hpp"

namespace gatehouse::waf::fastpath {

class Probe::Recorder final : public modsecurity::debug_log::DebugLog {
 public:
  Recorder() { m_debugLevel = 9; }
  void write(int /*level*/, const std::string& message) override { messages.push_back(message); }
  void write(int /*level*/, const std::string& /*id*/, const std::string& /*uri*/,
             const std::string& message) override {
    messages.push_back(message);
  }

  std::vector<std::string> messages;
};

namespace {

/// Holds nothing and forgets what it is told: the probe must not leave traces in the process' collections.
class EmptyCollection final : public modsecurity::collection::Collection {
 public:
  EmptyCollection() : Collection("probe") {}
  using Collection::del;
  using Collection::resolveFirst;
  using Collection::resolveMultiMatches;
  using Collection::resolveRegularExpression;
  using Collection::resolveSingleMatch;
  using Collection::store;
  using Collection::storeOrUpdateFirst;
  using Collection::updateFirst;

  void store(std::string /*key*/, std::string /*value*/) override {}
  bool storeOrUpdateFirst(const std::string& /*key*/, const std::string& /*value*/) override { return true; }
  bool updateFirst(const std::string& /*key*/, const std::string& /*value*/) override { return true; }
  void del(const std::string& /*key*/) override {}
  std::unique_ptr<std::string> resolveFirst(const std::string& /*var*/) override { return nullptr; }
  void resolveSingleMatch(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/) override {}
  void resolveMultiMatches(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/,
                           modsecurity::variables::KeyExclusions& /*ke*/) override {}
  void resolveRegularExpression(const std::string& /*var*/, std::vector<const modsecurity::VariableValue*>* /*l*/,
                                modsecurity::variables::KeyExclusions& /*ke*/) override {}
};

}  // namespace

Probe::Probe(modsecurity::ModSecurity& engine, modsecurity::RulesSet& loaded)
    : loaded_(loaded), original_(loaded.m_debugLog), recorder_(std::make_unique<Recorder>()) {
  for (auto& collection : empty_) collection = std::make_unique<EmptyCollection>();
  transaction_ = std::make_unique<modsecurity::Transaction>(&engine, &loaded, nullptr);
  auto& collections = transaction_->m_collections;
  collections.m_global_collection = empty_[0].get();
  collections.m_ip_collection = empty_[1].get();
  collections.m_session_collection = empty_[2].get();
  collections.m_user_collection = empty_[3].get();
  collections.m_resource_collection = empty_[4].get();
  loaded_.m_debugLog = recorder_.get();
}

Probe::~Probe() {
  transaction_.reset();
  loaded_.m_debugLog = original_;
}

modsecurity::AnchoredSetVariable* Probe::collection(VariableKind kind) {
  auto& t = *transaction_;
  switch (kind) {
    case VariableKind::args:
    case VariableKind::args_names: return &t.m_variableArgs;
    case VariableKind::args_get:
    case VariableKind::args_get_names: return &t.m_variableArgsGet;
    case VariableKind::args_post:
    case VariableKind::args_post_names: return &t.m_variableArgsPost;
    case VariableKind::files: return &t.m_variableFiles;
    case VariableKind::files_names: return &t.m_variableFilesNames;
    case VariableKind::files_sizes: return &t.m_variableFilesSizes;
    case VariableKind::files_tmp_content: return &t.m_variableFilesTmpContent;
    case VariableKind::files_tmp_names: return &t.m_variableFilesTmpNames;
    case VariableKind::multipart_filename: return &t.m_variableMultipartFileName;
    case VariableKind::multipart_name: return &t.m_variableMultipartName;
    case VariableKind::multipart_part_headers: return &t.m_variableMultipartPartHeaders;
    case VariableKind::matched_vars: return &t.m_variableMatchedVars;
    case VariableKind::matched_vars_names: return &t.m_variableMatchedVarsNames;
    case VariableKind::request_cookies: return &t.m_variableRequestCookies;
    case VariableKind::request_cookies_names: return &t.m_variableRequestCookiesNames;
    case VariableKind::request_headers: return &t.m_variableRequestHeaders;
    case VariableKind::request_headers_names: return &t.m_variableRequestHeadersNames;
    case VariableKind::response_headers: return &t.m_variableResponseHeaders;
    case VariableKind::response_headers_names: return &t.m_variableResponseHeadersNames;
    case VariableKind::geo: return &t.m_variableGeo;
    default: return nullptr;
  }
}

void Probe::provide(const Variable& variable) {
  if (variable.excluded) return;
  const std::string key = variable.selector == SelectorKind::exact ? variable.text : "probe";
  if (variable.kind == VariableKind::tx) {
    transaction_->m_collections.m_tx_collection->storeOrUpdateFirst(key, "probe");
  } else if (auto* values = collection(variable.kind); values != nullptr && values->find(key) == values->end()) {
    values->set(key, "probe", 0);
  }
}

std::vector<std::string> Probe::run(const Rule& ours, modsecurity::RuleWithOperator& theirs) {
  auto& t = *transaction_;
  // What an earlier rule switched off must not hide this one.
  t.m_ruleRemoveById.clear();
  t.m_ruleRemoveByIdRange.clear();
  t.m_ruleRemoveByTag.clear();
  t.m_ruleRemoveTargetById.clear();
  t.m_ruleRemoveTargetByTag.clear();
  for (const auto& variable : ours.variables) provide(variable);
  recorder_->messages.clear();
  static_cast<void>(theirs.RuleWithActions::evaluate(&t));
  return std::move(recorder_->messages);
}

}  // namespace gatehouse::waf::fastpath
