#include "proxy/upstream/resolver.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <exception>
#include <unordered_map>
#include <utility>

#include <ares.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace gatehouse::upstream {
namespace {

// How often one event may be answered with another read before the loop gets its turn.
constexpr int kReadsPerEvent = 16;

bool initialize_library() {
  static const bool ready = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return ready;
}

// Whether the status says something about the name, or only about the way to the servers.
bool says_no_such_name(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

bool has_input(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, 0) > 0 && poll_fd.revents != 0;
}

Milliseconds to_milliseconds(const timeval& value) {
  return std::chrono::ceil<Milliseconds>(std::chrono::seconds(value.tv_sec) + std::chrono::microseconds(value.tv_usec));
}

}  // namespace

/// One name being looked up: a question per address family, answered when all are. Each question c-ares holds keeps it
/// alive.
struct Resolver::Lookup {
  std::string host;
  Callback callback;
  bool ipv4 = true;
  bool ipv6 = true;
  Channel* channel = nullptr;
  int open_questions = 0;
  bool transient = false;  // a family's servers failed, so "no address" proves nothing
  std::vector<SocketAddress> addresses;
  Milliseconds ttl = Milliseconds::max();

  void add(const ares_addrinfo& answer) {
    const auto shorten = [this](int seconds) {
      ttl = std::min<Milliseconds>(ttl, std::chrono::seconds(std::max(seconds, 0)));
    };
    for (const auto* alias = answer.cnames; alias != nullptr; alias = alias->next) shorten(alias->ttl);
    for (const auto* node = answer.nodes; node != nullptr; node = node->ai_next) {
      const auto address = SocketAddress::from_sockaddr(node->ai_addr, node->ai_addrlen);
      if (!address) continue;
      shorten(node->ai_ttl);
      addresses.push_back(address->with_port(0));
    }
  }

  [[nodiscard]] LookupResult result() && {
    if (addresses.empty()) return transient ? LookupFailure::transient : LookupFailure::no_such_name;
    std::sort(addresses.begin(), addresses.end());
    return LookupAnswer{std::move(addresses), ttl};
  }
};

/// One set of servers: c-ares' state and its sockets on the reactor.
class Resolver::Channel {
 public:
  Channel(Resolver& resolver, Servers servers);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void start(std::shared_ptr<Lookup> lookup);
  [[nodiscard]] bool busy() const noexcept { return active_ > 0; }

 private:
  // A socket of c-ares. It watches in both directions; c-ares closes the descriptor.
  struct Watch : io::Operation {
    Watch(Channel& channel_, int fd, std::uint64_t id_)
        : Operation([](Operation& self) {
            auto& watch = static_cast<Watch&>(self);
            if (!watch.canceled) watch.channel.on_event(watch);
            return false;
          }),
          channel(channel_),
          id(id_),
          descriptor(channel_.resolver_.reactor_, fd) {
      descriptor.wait_read(*this, TimePoint::max());
      descriptor.wait_write(*this, TimePoint::max());
    }
    Channel& channel;
    const std::uint64_t id;
    bool wants_write = false;
    bool try_write = false;  // c-ares has queued something: no edge may come if the socket is writable already
    io::Descriptor descriptor;
  };
  struct Alarm : io::Timer {
    explicit Alarm(Channel& channel_)
        : Timer([](io::Timer& self) { static_cast<Alarm&>(self).channel.on_alarm(); }), channel(channel_) {}
    Channel& channel;
  };
  struct Question {
    std::shared_ptr<Lookup> lookup;
  };

  bool open();
  bool set_servers();
  bool ask_hosts_file(Lookup& lookup);
  void ask(const std::shared_ptr<Lookup>& lookup);
  void ask_family(const std::shared_ptr<Lookup>& lookup, int family);
  void on_event(Watch& watch);
  void on_alarm();
  void drain(int fd, std::uint64_t id);
  void settle();
  void start_waiting();
  void set_alarm();
  [[nodiscard]] Watch* find(int fd, std::uint64_t id);
  void on_socket_state(int fd, bool wants_read, bool wants_write);
  void on_answer(std::shared_ptr<Lookup> lookup, int status, ares_addrinfo* answer);

  Resolver& resolver_;
  const Servers servers_;
  ares_channel ares_ = nullptr;
  ares_channel hosts_file_ = nullptr;  // the system's: answers at once, from /etc/hosts alone
  bool closing_ = false;
  std::size_t active_ = 0;  // lookups that c-ares works on or that wait here
  std::size_t asked_ = 0;
  std::deque<std::shared_ptr<Lookup>> waiting_;
  std::unordered_map<int, std::unique_ptr<Watch>> watches_;
  std::uint64_t next_watch_ = 0;
  Alarm alarm_{*this};
};

Resolver::Channel::Channel(Resolver& resolver, Servers servers) : resolver_(resolver), servers_(std::move(servers)) {
  if (!open() && ares_ != nullptr) ares_destroy(std::exchange(ares_, nullptr));
}

Resolver::Channel::~Channel() {
  closing_ = true;
  // Calls every open question and closes every socket, so the members must still be there.
  if (ares_ != nullptr) ares_destroy(ares_);
  if (hosts_file_ != nullptr) ares_destroy(hosts_file_);
}

bool Resolver::Channel::open() {
  if (!initialize_library()) return false;
  const bool system = servers_.empty();
  ares_options options{};
  std::string resolv_conf = resolver_.limits_.resolv_conf;
  char hosts_only[] = "f";
  char dns_only[] = "b";
  options.flags = system ? 0 : ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = static_cast<int>(resolver_.limits_.first_timeout.count());
  options.tries = resolver_.limits_.tries;
  options.udp_port = options.tcp_port = resolver_.limits_.system_port;
  options.resolvconf_path = resolv_conf.data();
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Channel*>(self)->on_socket_state(fd, readable != 0, writable != 0);
  };
  int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF | ARES_OPT_LOOKUPS |
              ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
  options.lookups = hosts_only;
  if (system && ares_init_options(&hosts_file_, &options, given) != ARES_SUCCESS) hosts_file_ = nullptr;
  options.lookups = dns_only;
  given |= ARES_OPT_SOCK_STATE_CB;
  if (!system) given |= ARES_OPT_ROTATE;
  if (ares_init_options(&ares_, &options, given) != ARES_SUCCESS) {
    ares_ = nullptr;
    return false;
  }
  return system || set_servers();
}

bool Resolver::Channel::set_servers() {
  std::vector<ares_addr_port_node> nodes;
  for (const SocketAddress& server : servers_) {
    ares_addr_port_node node{};
    node.family = server.family() == AddressFamily::ipv4 ? AF_INET : AF_INET6;
    node.udp_port = node.tcp_port = server.port();
    const auto bytes = server.bytes();
    if (bytes.empty()) continue;
    std::memcpy(&node.addr, bytes.data(), bytes.size());
    nodes.push_back(node);
  }
  if (nodes.empty()) return false;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) nodes[i].next = &nodes[i + 1];
  return ares_set_servers_ports(ares_, nodes.data()) == ARES_SUCCESS;
}

void Resolver::Channel::start(std::shared_ptr<Lookup> lookup) {
  lookup->channel = this;
  ++active_;
  waiting_.push_back(std::move(lookup));
  settle();
}

// /etc/hosts comes first and alone, as in the system's resolver: a name that stands there with one family only causes no
// question to a server for the other.
bool Resolver::Channel::ask_hosts_file(Lookup& lookup) {
  if (hosts_file_ == nullptr) return false;
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = lookup.ipv4 && lookup.ipv6 ? AF_UNSPEC : lookup.ipv4 ? AF_INET : AF_INET6;
  const auto on_entry = [](void* found, int status, int, ares_addrinfo* answer) {
    if (status == ARES_SUCCESS) static_cast<Lookup*>(found)->add(*answer);
    if (answer != nullptr) ares_freeaddrinfo(answer);
  };
  ares_getaddrinfo(hosts_file_, lookup.host.c_str(), nullptr, &hints, on_entry, &lookup);
  return !lookup.addresses.empty();
}

void Resolver::Channel::ask(const std::shared_ptr<Lookup>& lookup) {
  ++asked_;
  lookup->open_questions = 1;  // held until all are asked: some are answered at once
  if (ares_ == nullptr) {
    lookup->transient = true;
  } else if (!ask_hosts_file(*lookup)) {
    // Two questions, not one of both families: c-ares' joint outcome would report "no such name" when one family timed
    // out and the other has no address.
    if (lookup->ipv4) ask_family(lookup, AF_INET);
    if (lookup->ipv6) ask_family(lookup, AF_INET6);
  }
  on_answer(lookup, ARES_SUCCESS, nullptr);
}

void Resolver::Channel::ask_family(const std::shared_ptr<Lookup>& lookup, int family) {
  ++lookup->open_questions;
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT | ARES_AI_CANONNAME;  // with the aliases, for their TTLs
  hints.ai_family = family;
  const auto on_outcome = [](void* argument, int status, int, ares_addrinfo* answer) {
    const std::unique_ptr<Question> question(static_cast<Question*>(argument));
    Channel& channel = *question->lookup->channel;
    channel.on_answer(std::move(question->lookup), status, answer);
  };
  ares_getaddrinfo(ares_, lookup->host.c_str(), nullptr, &hints, on_outcome, new Question{lookup});
}

void Resolver::Channel::on_answer(std::shared_ptr<Lookup> lookup, int status, ares_addrinfo* answer) {
  if (answer != nullptr) {
    if (status == ARES_SUCCESS) lookup->add(*answer);
    ares_freeaddrinfo(answer);
  }
  if (closing_) return;
  if (status != ARES_SUCCESS && !says_no_such_name(status)) lookup->transient = true;
  if (--lookup->open_questions > 0) return;
  --asked_;
  --active_;
  resolver_.finish(std::move(lookup));
}

// ---- sockets ----

Resolver::Channel::Watch* Resolver::Channel::find(int fd, std::uint64_t id) {
  const auto found = watches_.find(fd);
  return found != watches_.end() && found->second->id == id ? found->second.get() : nullptr;
}

void Resolver::Channel::on_socket_state(int fd, bool wants_read, bool wants_write) {
  if (!wants_read && !wants_write) {
    watches_.erase(fd);
    return;
  }
  try {
    auto& watch = watches_[fd];
    if (!watch) watch = std::make_unique<Watch>(*this, fd, next_watch_++);
    watch->wants_write = watch->try_write = wants_write;
  } catch (const std::exception&) {
    // epoll refused the socket, and nothing may be thrown through c-ares: its question will time out.
    watches_.erase(fd);
  }
}

void Resolver::Channel::on_event(Watch& watch) {
  const int fd = watch.descriptor.fd();
  const std::uint64_t id = watch.id;
  if (watch.wants_write && watch.descriptor.writable) ares_process_fd(ares_, ARES_SOCKET_BAD, fd);
  drain(fd, id);
  settle();
}

// Reads until the socket is empty, because the next edge comes only after that: c-ares reads part of a TCP answer.
void Resolver::Channel::drain(int fd, std::uint64_t id) {
  Watch* watch = find(fd, id);
  if (watch == nullptr || !watch->descriptor.readable) return;
  watch->descriptor.readable = false;
  for (int i = 0; i < kReadsPerEvent; ++i) {
    ares_process_fd(ares_, fd, ARES_SOCKET_BAD);
    watch = find(fd, id);
    if (watch == nullptr || !has_input(fd)) return;
  }
  watch->descriptor.readable = true;  // the alarm goes on
}

void Resolver::Channel::on_alarm() {
  ares_process_fd(ares_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  std::vector<std::pair<int, std::uint64_t>> unread;
  for (const auto& [fd, watch] : watches_) {
    if (watch->descriptor.readable) unread.emplace_back(fd, watch->id);
  }
  for (const auto& [fd, id] : unread) drain(fd, id);
  settle();
}

// After every call into c-ares: starts what may start now, writes what was queued, sets the alarm.
void Resolver::Channel::settle() {
  for (;;) {
    start_waiting();
    std::vector<int> queued;
    for (const auto& [fd, watch] : watches_) {
      if (std::exchange(watch->try_write, false)) queued.push_back(fd);
    }
    if (queued.empty()) break;
    for (const int fd : queued) ares_process_fd(ares_, ARES_SOCKET_BAD, fd);  // may end questions and make room
  }
  set_alarm();
}

void Resolver::Channel::start_waiting() {
  while (!waiting_.empty() && asked_ < resolver_.limits_.in_flight) {
    const std::shared_ptr<Lookup> lookup = std::move(waiting_.front());
    waiting_.pop_front();
    ask(lookup);
  }
}

void Resolver::Channel::set_alarm() {
  if (ares_ == nullptr) return;
  io::Reactor& reactor = resolver_.reactor_;
  const bool unread = std::any_of(watches_.begin(), watches_.end(),
                                  [](const auto& entry) { return entry.second->descriptor.readable; });
  timeval wait{};
  if (unread)
    reactor.arm(alarm_, reactor.now());
  else if (ares_timeout(ares_, nullptr, &wait) != nullptr)
    reactor.arm(alarm_, reactor.now() + to_milliseconds(wait));
  else
    alarm_.disarm();
}

// ---- Resolver ----

Resolver::Resolver(io::Reactor& reactor, Limits limits)
    : reactor_(reactor), limits_(std::move(limits)), self_(std::make_shared<Resolver*>(this)) {}

Resolver::~Resolver() = default;

Resolver::Channel& Resolver::channel_for(const config::ResolverSettings* settings) {
  Servers servers = settings != nullptr ? settings->servers : Servers();
  const auto known = channels_.find(servers);
  if (known != channels_.end()) return *known->second;
  // A new set of servers comes with a new configuration: the sets that the old one used may be done with.
  std::erase_if(channels_, [](const auto& entry) { return !entry.second->busy(); });
  auto channel = std::make_unique<Channel>(*this, servers);
  return *channels_.emplace(std::move(servers), std::move(channel)).first->second;
}

void Resolver::lookup(const std::string& host, const config::ResolverSettings* settings, Callback callback) {
  auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  lookup->callback = std::move(callback);
  if (settings != nullptr) {
    lookup->ipv4 = settings->ipv4;
    lookup->ipv6 = settings->ipv6;
  }
  ++in_flight_;
  channel_for(settings).start(std::move(lookup));
}

void Resolver::finish(std::shared_ptr<Lookup> lookup) {
  finished_.push_back(std::move(lookup));
  if (finished_.size() > 1) return;
  // Not called from here: c-ares is on the stack, and a callback may end this object.
  reactor_.post([weak = std::weak_ptr(self_)] {
    if (weak.expired()) return;
    Resolver* const self = *weak.lock();  // holds no share: deliver() asks whether this object has ended
    self->deliver();
  });
}

void Resolver::deliver() {
  const std::weak_ptr<Resolver*> alive = self_;
  for (const auto& lookup : std::exchange(finished_, {})) {
    --in_flight_;
    lookup->callback(std::move(*lookup).result());
    if (alive.expired()) return;
  }
}

}  // namespace gatehouse::upstream
