#include "proxy/server/event_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/unique_fd.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/io/signal.hpp"
#include "proxy/io/socket.hpp"
#include "proxy/server/affinity.hpp"
#include "proxy/session/connection.hpp"
#include "proxy/stream/stream_thread.hpp"

namespace gatehouse::server {
namespace {

constexpr std::chrono::seconds kMaintenance{1};
constexpr Milliseconds kAcceptPause{50};  // after EMFILE: descriptors come back when connections close
constexpr int kAcceptsPerEvent = 16;

// Connection numbers are unique in the process: each thread takes every N-th one.
constexpr std::uint64_t kNumberStride = 1024;

}  // namespace

struct EventThread::Impl {
  /// Accepts on one listening socket; owns its own duplicate of the descriptor, so that closing it disturbs nobody.
  struct Acceptor {
    Acceptor(Impl& owner_, SocketAddress address_, int fd_)
        : owner(owner_),
          address(std::move(address_)),
          fd(fd_),
          descriptor(owner_.reactor, fd_),
          operation(*this),
          pause(*this) {
      if (address.family() != AddressFamily::unix_path) {
        const int on = 1;  // accepted sockets inherit it
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      }
      descriptor.wait_read(operation, TimePoint::max());
    }

    struct Accept : io::Operation {
      explicit Accept(Acceptor& acceptor_) noexcept
          : Operation([](Operation& self) { return static_cast<Accept&>(self).acceptor.accept_some(); }),
            acceptor(acceptor_) {}
      Acceptor& acceptor;
    };
    struct Pause : io::Timer {
      explicit Pause(Acceptor& acceptor_) noexcept
          : Timer([](Timer& timer) { static_cast<Pause&>(timer).acceptor.accept_some(); }), acceptor(acceptor_) {}
      Acceptor& acceptor;
    };
    /// Always false: an acceptor waits for ever.
    bool accept_some();

    Impl& owner;
    SocketAddress address;
    UniqueFd fd;         ///< behind `descriptor` in the order of destruction: epoll knows it by this number
    int source_fd = -1;  ///< the process' descriptor that this is a duplicate of
    io::Descriptor descriptor;
    Accept operation;
    Pause pause;
    std::shared_ptr<int> alive = std::make_shared<int>(0);  ///< work that was posted asks whether it still may
  };

  Impl(std::uint32_t index_, exchange::WafService& waf, std::uint32_t connection_limit)
      : index(index_),
        state(reactor, index_, waf, connection_limit),
        streams(state, {[this] { return make_room(); }, [this] { return take_number(); },
                        [this](const SocketAddress& address) { return knows_listener(address); },
                        [this](const SocketAddress& address, io::Socket socket, exchange::ConnectionInfo info) {
                          serve(address, std::move(socket), std::move(info));
                        }}),
        next_number(index_ + 1) {
    RAND_bytes(reinterpret_cast<unsigned char*>(&state.random_state), sizeof state.random_state);
    reactor.on_bug([this](const char* what) {
      const auto& generation = state.generation;
      if (generation)
        generation->shared->error_log->log(LogLevel::alert, 0, "unexpected exception in a connection: {}", what);
      state.metrics.ends[static_cast<std::size_t>(Reason::bug)].add();
    });
  }

  void use(Served served, const std::vector<ListeningSocket>& sockets);
  void accept_on(const std::vector<ListeningSocket>& sockets);
  void take(int fd, const sockaddr_storage& peer, socklen_t peer_size, const Acceptor& acceptor);
  void serve(const SocketAddress& address, io::Socket socket, exchange::ConnectionInfo info);
  [[nodiscard]] bool knows_listener(const SocketAddress& address) const {
    return state.generation->shared->listener_by_address.contains(address) || streams.find_listener(address);
  }
  [[nodiscard]] std::uint64_t open() const noexcept { return registry.open() + streams.open(); }
  [[nodiscard]] std::uint64_t take_number() noexcept { return std::exchange(next_number, next_number + kNumberStride); }
  bool make_room();
  void look_after(const std::shared_ptr<upstream::ClusterRuntime>& cluster) {
    cluster->sweep(reactor.now());
    upstream::refresh_names(cluster, state.resolver);
  }
  io::Task<void> maintain();
  void check_empty();

  const std::uint32_t index;
  io::Reactor reactor;
  session::ConnectionRegistry registry;
  exchange::ThreadState state;
  stream::StreamThread streams;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  std::uint64_t next_number;
  std::function<void()> on_empty;
  bool stopping = false;
  io::Signal wake{reactor};  ///< ends the pause of maintain()
  std::thread thread;
};

bool EventThread::Impl::Acceptor::accept_some() {
  for (int i = 0; i < kAcceptsPerEvent; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int accepted = ::accept4(fd.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      owner.take(accepted, peer, size, *this);
      continue;
    }
    switch (errno) {
      case EAGAIN: descriptor.readable = false; return false;
      case EINTR:
      case ECONNABORTED: continue;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: {
        owner.state.metrics.connections_dropped.add();
        owner.state.generation->shared->error_log->log(LogLevel::crit, 0, "accept4() failed ({}: {})", errno,
                                                       std::strerror(errno));
        owner.registry.evict_idle();
        owner.reactor.arm(pause, owner.reactor.now() + kAcceptPause);
        return false;
      }
      default:
        owner.state.generation->shared->error_log->log(LogLevel::alert, 0, "accept4() failed ({}: {})", errno,
                                                       std::strerror(errno));
        owner.reactor.arm(pause, owner.reactor.now() + kAcceptPause);
        return false;
    }
  }
  // The queue may hold more, and no further edge would tell: go on in the next round, after the connections had theirs. A timer would
  // only run at its wheel's next tick.
  owner.reactor.post([this, still = std::weak_ptr(alive)] {
    if (!still.expired()) accept_some();
  });
  return false;
}

// Above 15/16 of the limit the connections that idle longest make room; at the limit new ones are refused.
bool EventThread::Impl::make_room() {
  const std::uint64_t limit = state.connection_limit;
  if (open() < limit - limit / 16) return true;
  registry.evict_idle();
  return open() < limit;
}

void EventThread::Impl::take(int fd, const sockaddr_storage& peer, socklen_t peer_size, const Acceptor& acceptor) {
  const bool known = knows_listener(acceptor.address);
  if (!known || !make_room()) {
    if (known) {
      state.generation->shared->error_log->log(LogLevel::alert, 0, "{} worker_connections are not enough",
                                               state.connection_limit);
    }
    state.metrics.connections_dropped.add();
    ::close(fd);
    return;
  }
  state.metrics.connections_accepted.add();
  exchange::ConnectionInfo info;
  info.number = take_number();
  info.accepted = reactor.now();
  info.socket = fd;
  info.peer =
      SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&peer), peer_size).value_or(SocketAddress{});
  info.peer_ip = info.peer.ip_string();
  info.local = acceptor.address;
  if (info.peer.family() != AddressFamily::unix_path) {
    // A wildcard listener learns from the socket which address was meant.
    const auto bytes = acceptor.address.bytes();
    if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; })) {
      sockaddr_storage local{};
      socklen_t size = sizeof local;
      if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0) {
        info.local = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&local), size).value_or(acceptor.address);
      }
    }
  }
  const auto& generation = *state.generation->shared;
  const auto& debugged = generation.config->main.debug_connections;
  info.debug = !debugged.empty() && exchange::match_network(debugged, info.peer) != nullptr;
  if (info.debug || generation.error_log->enabled(LogLevel::debug)) {
    generation.error_log->debug(info.debug, info.number, "accept: {} fd:{}", info.peer.to_string(), fd);
  }
  std::optional<io::Socket> socket;
  try {
    socket.emplace(reactor, fd, io::Registration::when_waited_for);
  } catch (const std::exception& error) {
    state.generation->shared->error_log->log(LogLevel::alert, info.number, "{}", error.what());
    state.metrics.connections_dropped.add();
    return;
  }
  serve(acceptor.address, std::move(*socket), std::move(info));
}

// The address is one of a listener.
void EventThread::Impl::serve(const SocketAddress& address, io::Socket socket, exchange::ConnectionInfo info) {
  const auto& listeners = state.generation->shared->listener_by_address;
  if (const auto listener = listeners.find(address); listener != listeners.end()) {
    reactor.spawn(session::serve_connection(state, registry, std::move(socket), listener->second, std::move(info)));
  } else if (const auto of_stream = streams.find_listener(address)) {
    streams.serve(std::move(socket), *of_stream, std::move(info));
  }
}

void EventThread::Impl::accept_on(const std::vector<ListeningSocket>& sockets) {
  std::vector<std::unique_ptr<Acceptor>> kept;
  std::vector<stream::StreamThread::UdpSource> datagrams;
  for (const ListeningSocket& socket : sockets) {
    if (socket.udp) {
      datagrams.push_back({socket.address, socket.fd});
      continue;
    }
    const auto known = std::find_if(acceptors.begin(), acceptors.end(), [&](const auto& acceptor) {
      return acceptor && acceptor->source_fd == socket.fd && acceptor->address == socket.address;
    });
    if (known != acceptors.end()) {
      kept.push_back(std::move(*known));
      continue;
    }
    const int fd = ::fcntl(socket.fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) continue;
    kept.push_back(std::make_unique<Acceptor>(*this, socket.address, fd));
    kept.back()->source_fd = socket.fd;
  }
  acceptors = std::move(kept);
  streams.read_on(datagrams);
}

void EventThread::Impl::use(Served served, const std::vector<ListeningSocket>& sockets) {
  auto generation = std::move(served.http);
  auto next = std::make_shared<exchange::ThreadGeneration>();
  next->clusters = upstream::carry_over(generation->config->http.upstreams,
                                        state.generation ? state.generation->clusters : upstream::Clusters{}, reactor,
                                        state.resolver, state.random_state);
  std::vector<exchange::RouteKey> routes;
  for (const auto& route : generation->routes) routes.push_back({route.server, route.route});
  state.metrics.use_routes(routes);
  next->shared = std::move(generation);
  state.generation = std::move(next);
  streams.use(std::move(served.stream));
  accept_on(sockets);
}

// Idle upstream connections, names, buffers: what has to be looked after now and then.
io::Task<void> EventThread::Impl::maintain() {
  while (!stopping) {
    auto waiting = wake.wait(reactor.now() + kMaintenance);
    co_await waiting;
    if (stopping) break;
    for (const auto& cluster : state.generation->clusters) look_after(cluster);
    for (const auto& [name, cluster] : state.dynamic_clusters) look_after(cluster);
    streams.look_after();
    check_empty();
  }
}

void EventThread::Impl::check_empty() {
  if (on_empty && open() == 0) {
    state.access_logs.flush();
    std::exchange(on_empty, {})();
  }
}

EventThread::EventThread(std::uint32_t index, exchange::WafService& waf, std::uint32_t connection_limit)
    : impl_(std::make_unique<Impl>(index, waf, connection_limit)) {}

EventThread::~EventThread() { join(); }

void EventThread::start(Served generation, std::vector<ListeningSocket> sockets) {
  impl_->thread = std::thread([impl = impl_.get(), generation = std::move(generation), sockets = std::move(sockets)] {
    pthread_setname_np(pthread_self(), fmt::format("gh-event-{}", impl->index).c_str());
    const auto& main = generation.http->config->main;
    const auto processors =
        processors_of_thread(main.worker_cpu_affinity, impl->index, std::max(1U, std::thread::hardware_concurrency()));
    if (const int code = bind_thread(processors); code != 0) {
      generation.http->error_log->log(LogLevel::alert, 0, "sched_setaffinity() failed ({}: {})", code,
                                      std::generic_category().message(code));
    }
    impl->use(generation, sockets);
    impl->reactor.spawn(impl->maintain());
    impl->reactor.run();
    // The loop has ended: let go on its own thread of what belongs to it.
    impl->acceptors.clear();
    impl->streams.read_on({});
    impl->state.access_logs.flush();
  });
}

void EventThread::apply(Served generation, std::vector<ListeningSocket> sockets, std::function<void()> done) {
  impl_->reactor.post(
      [impl = impl_.get(), generation = std::move(generation), sockets = std::move(sockets), done = std::move(done)] {
        impl->use(generation, sockets);
        if (done) done();
      });
}

void EventThread::drain(std::function<void()> empty) {
  impl_->reactor.post([impl = impl_.get(), empty = std::move(empty)] {
    impl->state.draining = true;
    impl->acceptors.clear();
    impl->streams.read_on({});
    impl->on_empty = empty;
    impl->registry.cancel_idle();
    impl->check_empty();
  });
}

void EventThread::stop() {
  impl_->reactor.post([impl = impl_.get()] {
    impl->stopping = true;
    impl->wake.notify_all();
    impl->state.draining = true;
    impl->acceptors.clear();
    impl->streams.read_on({});
    impl->reactor.spawn([](Impl& self) -> io::Task<void> {
      // Cancelled connections need rounds to unwind; a WAF evaluation under way is waited for.
      const TimePoint deadline = self.reactor.now() + std::chrono::seconds(5);
      while (self.reactor.live_tasks() > 1 && self.reactor.now() < deadline) {
        self.registry.cancel_all();
        self.streams.cancel_all();
        auto sleeping = self.reactor.sleep_until(self.reactor.now() + Milliseconds{10});
        co_await sleeping;
      }
      self.reactor.stop();
    }(*impl));
  });
}

void EventThread::join() {
  if (impl_->thread.joinable()) impl_->thread.join();
}

const exchange::ThreadMetrics& EventThread::metrics() const noexcept { return impl_->state.metrics; }
const stream::ThreadMetrics& EventThread::stream_metrics() const noexcept { return impl_->streams.metrics(); }
std::uint64_t EventThread::connections() const noexcept { return impl_->open(); }
std::uint64_t EventThread::idle_connections() const noexcept { return impl_->registry.idle(); }

void EventThread::collect_peers(std::function<void(std::vector<PeerFigure>, std::uint64_t)> result) {
  impl_->reactor.post([impl = impl_.get(), result = std::move(result)] {
    std::vector<PeerFigure> figures;
    std::uint64_t idle = 0;
    auto clusters = impl->state.generation->clusters;
    const auto& of_stream = impl->streams.generation()->clusters;
    clusters.insert(clusters.end(), of_stream.begin(), of_stream.end());
    for (const auto& runtime : clusters) {
      idle += runtime->idle();
      for (const auto peers : {runtime->cluster().primary(), runtime->cluster().backup()}) {
        for (const upstream::Peer* peer : peers) {
          figures.push_back({runtime->cluster().name(), peer->spec.address.to_string(),
                             peer->available(impl->reactor.now()), peer->state.conns, peer->state.fails});
        }
      }
    }
    result(std::move(figures), idle);
  });
}

}  // namespace gatehouse::server
