// What an Engine is made of. Included by waf's .cpp files only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <modsecurity/modsecurity.h>

#include "waf/audit_writer.hpp"
#include "waf/engine.hpp"
#include "waf/persistent_collections.hpp"

namespace gatehouse::waf {

struct Engine::Impl {
  explicit Impl(const EngineOptions& options);

  std::string connector;
  modsecurity::ModSecurity instance;
  std::array<PersistentCollection*, 5> collections;  // owned by `instance`
  AuditWriter audit;
  std::atomic<std::uint64_t> transactions = 0;
  std::atomic<std::uint64_t> interventions = 0;
  std::atomic<std::uint64_t> failures = 0;
};

}  // namespace gatehouse::waf
