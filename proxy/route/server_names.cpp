#include "proxy/route/server_names.hpp"

#include <array>
#include <bit>
#include <string>

#include "proxy/base/ascii.hpp"

namespace gatehouse::route {
namespace {

// FNV-1a over the lower-case text, finished so that the low bits depend on all of it.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(to_lower(c))) * 0x100000001b3u;
  value ^= value >> 32;
  return value * 0x9e3779b97f4a7c15u >> 16;
}

// `known` is in lower case.
bool equal(std::string_view known, std::string_view text) {
  if (known.size() != text.size()) return false;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i] != to_lower(text[i])) return false;
  }
  return true;
}

// The longest name in DNS; hosts up to here are lowered on the stack.
constexpr std::size_t kLongestName = 255;

}  // namespace

void ServerNames::Table::build(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  places_.resize(std::bit_ceil(entries.size() * 2));
  const std::size_t mask = places_.size() - 1;
  for (const auto& entry : entries) {
    std::size_t at = hash(entry.name->text) & mask;
    while (places_[at].server != nullptr && places_[at].name->text != entry.name->text) at = (at + 1) & mask;
    if (places_[at].server == nullptr) places_[at] = entry;  // else a conflicting name: the first one stays
  }
}

const ServerNames::Entry* ServerNames::Table::find(std::string_view text) const {
  if (places_.empty()) return nullptr;
  const std::size_t mask = places_.size() - 1;
  for (std::size_t at = hash(text) & mask; places_[at].server != nullptr; at = (at + 1) & mask) {
    if (equal(places_[at].name->text, text)) return &places_[at];
  }
  return nullptr;
}

ServerNames::ServerNames(const config::Listener& listener, std::span<const std::unique_ptr<config::Server>> servers)
    : default_(servers[listener.default_server].get()) {
  std::vector<Entry> exact, leading, trailing;
  for (const auto id : listener.servers) {
    for (const auto& name : servers[id]->names) {
      const Entry entry{servers[id].get(), &name};
      switch (name.kind) {
        case config::ServerName::Kind::exact: exact.push_back(entry); break;
        case config::ServerName::Kind::leading_wildcard: leading.push_back(entry); break;
        case config::ServerName::Kind::trailing_wildcard: trailing.push_back(entry); break;
        case config::ServerName::Kind::regex: regexes_.push_back(entry); break;
      }
    }
  }
  exact_.build(exact);
  leading_.build(leading);
  trailing_.build(trailing);
}

ServerMatch ServerNames::find(std::string_view host, config::Regex::Captures& captures) const {
  const auto result = [](const Entry& entry) { return ServerMatch{entry.server, entry.name}; };
  if (const auto* entry = exact_.find(host)) return result(*entry);
  // A wildcard stands for one label at least; the longest suffix, then the longest prefix comes first.
  if (!leading_.empty()) {
    for (auto dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      if (const auto* entry = leading_.find(host.substr(dot + 1))) return result(*entry);
    }
  }
  if (!trailing_.empty() && !host.empty()) {
    for (auto dot = host.rfind('.', host.size() - 1); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1)) {
      if (dot + 1 == host.size()) continue;
      if (const auto* entry = trailing_.find(host.substr(0, dot))) return result(*entry);
    }
  }
  if (regexes_.empty() || host.empty()) return {default_, nullptr};
  std::array<char, kLongestName> buffer;
  std::string long_host;
  char* text = buffer.data();
  if (host.size() > buffer.size()) {
    long_host.resize(host.size());
    text = long_host.data();
  }
  for (std::size_t i = 0; i < host.size(); ++i) text[i] = to_lower(host[i]);
  for (const auto& entry : regexes_) {
    if (entry.name->regex->match({text, host.size()}, captures)) return result(entry);
  }
  return {default_, nullptr};
}

}  // namespace gatehouse::route
