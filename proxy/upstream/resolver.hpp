// Looks host names up without blocking: c-ares on an event thread's own reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/system/result.hpp>

#include "proxy/base/address.hpp"
#include "proxy/base/units.hpp"
#include "proxy/config/model.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/upstream/resolution.hpp"

namespace gatehouse::upstream {

/// What a name stands for at the moment.
struct LookupAnswer {
  std::vector<SocketAddress> addresses;  ///< port 0, at least one, sorted
  Milliseconds ttl{0};                   ///< the shortest of the addresses' and of the aliases' that led to them
};
using LookupResult = boost::system::result<LookupAnswer, LookupFailure>;

/// The resolver of one event thread. Every lookup ends: with an answer, or with a failure once the servers were tried.
class Resolver {
 public:
  struct Limits {
    Milliseconds first_timeout = std::chrono::seconds(2);  ///< of the first try of each server; doubles with each round
    int tries = 3;                                         ///< rounds over the servers
    std::size_t in_flight = 128;                   ///< names asked for at once per set of servers; the rest queues
    std::string resolv_conf = "/etc/resolv.conf";  ///< read once, when the first name of the system is looked up
    std::uint16_t system_port = 53;                ///< of the servers named there: the file can't tell
  };
  using Callback = std::function<void(LookupResult)>;

  explicit Resolver(io::Reactor& reactor) : Resolver(reactor, Limits()) {}
  Resolver(io::Reactor& reactor, Limits limits);
  /// Gives up what is in flight: no callback is called from here on.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Looks `host` up for A and AAAA records. With settings, as nginx's resolver: at these servers in turn, no search
  /// list, no hosts file. Without (null), as the system: its hosts file, then its servers and search list. `settings` is
  /// not kept. The callback is called once, from the loop and never from here; it may do anything to the resolver.
  void lookup(const std::string& host, const config::ResolverSettings* settings, Callback callback);

  /// The loop's clock, for refresh_names().
  [[nodiscard]] TimePoint now() const noexcept { return reactor_.now(); }
  /// Lookups whose callback was not called yet.
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  class Channel;
  struct Lookup;
  using Servers = std::vector<SocketAddress>;  // empty: the system's

  Channel& channel_for(const config::ResolverSettings* settings);
  void finish(std::shared_ptr<Lookup> lookup);
  void deliver();

  io::Reactor& reactor_;
  const Limits limits_;
  std::map<Servers, std::unique_ptr<Channel>> channels_;
  std::vector<std::shared_ptr<Lookup>> finished_;
  std::size_t in_flight_ = 0;
  std::shared_ptr<Resolver*> self_;  // tells what was posted whether this object still lives
};

class ClusterRuntime;

/// Starts the lookups of the cluster's names that are due now, and applies each outcome when it comes: the cluster may be
/// reconfigured or gone by then. Called when the cluster is made or reconfigured, and about once a second.
void refresh_names(const std::shared_ptr<ClusterRuntime>& cluster, Resolver& resolver);

}  // namespace gatehouse::upstream
