#include "waf/engine.hpp"

#include <utility>

#include <modsecurity/rule_message.h>

#include "waf/engine_impl.hpp"
#include "waf/rule_match_sink.hpp"

namespace gatehouse::waf {

Engine::Impl::Impl(const EngineOptions& options)
    : connector(options.connector),
      collections(
          install_collections(instance, options.collections,
                              options.now ? options.now : PersistentCollection::Clock([] { return Clock::now(); }))),
      audit(options.audit_queue_bytes) {
  instance.setConnectorInformation(connector);
  instance.setServerLogCb(&RuleMatchSink::receive, modsecurity::RuleMessageLogProperty);
}

Engine::Engine(const EngineOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Engine::~Engine() = default;

void Engine::reopen_logs() { impl_->audit.reopen(); }

void Engine::flush_logs() { impl_->audit.flush(); }

EngineCounters Engine::counters() const {
  EngineCounters counters;
  counters.transactions = impl_->transactions;
  counters.interventions = impl_->interventions;
  counters.failures = impl_->failures;
  const AuditWriter::Counters audit = impl_->audit.counters();
  counters.audit_records = audit.written;
  counters.audit_dropped = audit.dropped;
  counters.audit_failed = audit.failed;
  for (const PersistentCollection* collection : impl_->collections) {
    const BoundedStore::Counters store = collection->counters();
    counters.collection_entries += store.entries;
    counters.collection_bytes += store.bytes;
    counters.collection_evicted += store.evicted;
    counters.collection_expired += store.expired;
  }
  return counters;
}

std::string Engine::library_version() { return "libmodsecurity3 version " MODSECURITY_VERSION; }

std::string Engine::banner(const RuleCounts& counts) const {
  return impl_->connector + ": " + library_version() +
         " (rules loaded inline/local/remote: " + std::to_string(counts.inline_text) + "/" +
         std::to_string(counts.local_files) + "/" + std::to_string(counts.remote) + ")";
}

}  // namespace gatehouse::waf
