// Which server of a listener a host name means: exact name, longest *.x, longest x.*, first regular expression, default
// server.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"

namespace gatehouse::route {

/// The server that was chosen, and the name that chose it.
struct ServerMatch {
  const config::Server* server = nullptr;    ///< never null
  const config::ServerName* name = nullptr;  ///< null when it is the default server; its regex filled the captures
};

/// The names of all servers of one listener. Immutable; lookups may run on any thread and allocate nothing (but for a
/// regular expression's captures). Borrows the servers, which must outlive it. Source: nginx's server_name, spec of
/// `listen`.
class ServerNames {
 public:
  ServerNames(const config::Listener& listener, std::span<const std::unique_ptr<config::Server>> servers);

  /// `host` without port and trailing dot, in any case; "" when the request names none. `captures` is written only when
  /// a regular expression matches.
  [[nodiscard]] ServerMatch find(std::string_view host, config::Regex::Captures& captures) const;
  [[nodiscard]] const config::Server& default_server() const noexcept { return *default_; }

 private:
  struct Entry {
    const config::Server* server;
    const config::ServerName* name;
  };
  // Names of one kind, in an open-addressed table of a power of two; a free place has no server.
  class Table {
   public:
    void build(const std::vector<Entry>& entries);
    [[nodiscard]] const Entry* find(std::string_view text) const;
    [[nodiscard]] bool empty() const noexcept { return places_.empty(); }

   private:
    std::vector<Entry> places_;
  };

  const config::Server* default_ = nullptr;
  Table exact_;
  Table leading_;
  Table trailing_;
  std::vector<Entry> regexes_;
};

}  // namespace gatehouse::route
