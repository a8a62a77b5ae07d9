#include "proxy/server/listening_sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace gatehouse::server {
namespace {

constexpr std::chrono::milliseconds kRetryPause{500};  // nginx's

struct CallFailed {
  std::string call;
  int code;
};

[[noreturn]] void fail(std::string call, int code = errno) { throw CallFailed{std::move(call), code}; }

std::string text_of(const CallFailed& failure) {
  return fmt::format("{} failed ({}: {})", failure.call, failure.code, std::generic_category().message(failure.code));
}

bool is_unix(const SocketAddress& address) { return address.family() == AddressFamily::unix_path; }

void set(int fd, int level, int name, int value, std::string_view what, const SocketAddress& address) {
  if (::setsockopt(fd, level, name, &value, sizeof value) != 0) {
    fail(fmt::format("setsockopt({}) {}", what, address.to_string()));
  }
}

UniqueFd new_socket(const SocketAddress& address, const config::ListenOptions& options) {
  int family = AF_INET;
  if (address.family() == AddressFamily::ipv6) family = AF_INET6;
  if (is_unix(address)) family = AF_UNIX;
  UniqueFd fd(::socket(family, (options.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail(fmt::format("socket() {}", address.to_string()));
  if (is_unix(address)) return fd;
  // On UDP it would let two programs have one port.
  if (!options.udp) set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR", address);
  if (family == AF_INET6) {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6only.value_or(true) ? 1 : 0, "IPV6_V6ONLY", address);
  }
  return fd;
}

void bind_to(int fd, const SocketAddress& address) {
  sockaddr_storage storage{};
  const auto length = static_cast<socklen_t>(address.to_sockaddr(storage));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    fail(fmt::format("bind() to {}", address.to_string()));
  }
}

// A Unix socket's file without a listener is what a killed process left behind.
void remove_stale_file(const SocketAddress& address) {
  struct stat status{};
  if (::lstat(address.path().c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  const auto length = static_cast<socklen_t>(address.to_sockaddr(storage));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno == ECONNREFUSED) {
    ::unlink(address.path().c_str());
  }
}

void set_listen_options(int fd, const SocketAddress& address, const config::ListenOptions& options) {
  if (options.rcvbuf) set(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(*options.rcvbuf), "SO_RCVBUF", address);
  if (options.sndbuf) set(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(*options.sndbuf), "SO_SNDBUF", address);
  if (options.so_keepalive) set(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE", address);
  if (options.udp) {
    // A wildcard socket must know which address it was asked at, to answer from it.
    if (address.family() == AddressFamily::ipv6) {
      set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO", address);
    } else {
      set(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO", address);
    }
  }
  if (!is_unix(address) && options.fastopen > 0) {
    set(fd, IPPROTO_TCP, TCP_FASTOPEN, options.fastopen, "TCP_FASTOPEN", address);
  }
}

UniqueFd open_listener(const WantedAddress& wanted) {
  const SocketAddress& address = wanted.address;
  UniqueFd fd = new_socket(address, wanted.options);
  set_listen_options(fd.get(), address, wanted.options);
  if (is_unix(address)) {
    remove_stale_file(address);
  } else if (wanted.sockets > 1 || wanted.options.reuseport) {
    set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", address);
  }
  bind_to(fd.get(), address);
  if (is_unix(address) && ::chmod(address.path().c_str(), 0666) != 0)
    fail(fmt::format("chmod() \"{}\"", address.path()));
  if (wanted.options.udp) return fd;
  if (::listen(fd.get(), wanted.options.backlog) != 0) {
    fail(fmt::format("listen() to {}, backlog {}", address.to_string(), wanted.options.backlog));
  }
  if (!is_unix(address) && wanted.options.deferred) {
    set(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, 1, "TCP_DEFER_ACCEPT", address);
  }
  return fd;
}

// SO_REUSEPORT would let us join another process of our user; a bind without it tells whether the address is free.
void probe(const WantedAddress& wanted) {
  const UniqueFd fd = new_socket(wanted.address, wanted.options);
  bind_to(fd.get(), wanted.address);
}

// Our own sockets on the same port, say on the wildcard address, would make the probe fail without reason.
bool may_be_probed(const WantedAddress& wanted, const ListeningSockets::Groups& held) {
  if (is_unix(wanted.address)) return false;
  return std::ranges::none_of(held, [&](const auto& group) {
    return group.first.udp == wanted.options.udp && group.first.address.port() == wanted.address.port();
  });
}

void probe_patiently(const WantedAddress& wanted, int attempts) {
  for (int attempt = 1;; ++attempt) {
    try {
      probe(wanted);
      return;
    } catch (const CallFailed& failure) {
      if (failure.code != EADDRINUSE || attempt >= attempts) throw;
      std::this_thread::sleep_for(kRetryPause);
    }
  }
}

std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const auto& text : texts) result.append(result.empty() ? "" : "\n").append(text);
  return result;
}

}  // namespace

ListenError::ListenError(std::vector<std::string> texts)
    : std::runtime_error(joined(texts)), texts_(std::move(texts)) {}

std::vector<WantedAddress> wanted_addresses(const config::Config& config, std::uint32_t threads) {
  std::vector<WantedAddress> result;
  for (const config::Http* block : {&config.http, &config.stream}) {
    for (const auto& listener : block->listeners) {
      const BindAddress wanted{listener.address, listener.options.udp};
      if (std::ranges::find(result, wanted, &WantedAddress::bind_address) != result.end()) {
        throw ListenError({fmt::format("{} is the address of a server of http and of a server of stream",
                                       listener.address.to_string())});
      }
      result.push_back({listener.address, listener.options, is_unix(listener.address) ? 1 : threads});
      result.back().options.reuseport = !is_unix(listener.address);
    }
  }
  const auto& admin = config.main.admin_listen;
  if (!admin) return result;
  if (std::ranges::find(result, BindAddress(*admin), &WantedAddress::bind_address) != result.end()) {
    throw ListenError({fmt::format("admin_listen {} is also the address of a server", admin->to_string())});
  }
  result.push_back({*admin, {}, 1});
  return result;
}

void ListeningSockets::adopt(std::span<const int> descriptors) {
  for (const int fd : descriptors) {
    int type = 0;
    int listens = 0;
    socklen_t length = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) continue;
    const bool udp = type == SOCK_DGRAM;
    length = sizeof listens;
    if (!udp && (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0)) continue;
    sockaddr_storage storage{};
    length = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) continue;
    const auto address = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
    if (!address || (udp && address->port() == 0)) continue;
    groups_[{*address, udp}].emplace_back(fd);
  }
}

ListeningSockets ListeningSockets::open_missing(std::span<const WantedAddress> wanted, const ListeningSockets& held,
                                                int attempts) {
  ListeningSockets opened;
  std::vector<std::string> errors;
  const auto held_count = [&](const BindAddress& address) {
    const auto found = held.groups_.find(address);
    return found == held.groups_.end() ? std::size_t{0} : found->second.size();
  };
  const auto attempt = [&](const auto& step) {
    try {
      step();
    } catch (const CallFailed& failure) {
      errors.push_back(text_of(failure));
    }
  };
  for (const auto& one : wanted) {
    if (held_count(one.bind_address()) == 0 && may_be_probed(one, held.groups_)) {
      attempt([&] { probe_patiently(one, errors.empty() ? attempts : 1); });
    }
  }
  if (!errors.empty()) throw ListenError(std::move(errors));
  for (const auto& one : wanted) {
    // One more socket can join a group only if all of it has SO_REUSEPORT; a Unix or admin socket is alone.
    const std::size_t missing = one.sockets - std::min<std::size_t>(one.sockets, held_count(one.bind_address()));
    for (std::size_t i = 0; i < missing; ++i) {
      attempt([&] {
        UniqueFd socket = open_listener(one);  // first: a failure must not leave an entry, whose file would be removed
        opened.groups_[one.bind_address()].push_back(std::move(socket));
      });
    }
  }
  if (!errors.empty()) {
    opened.close(UnixFiles::remove);
    throw ListenError(std::move(errors));
  }
  return opened;
}

void ListeningSockets::merge(ListeningSockets other) {
  for (auto& [address, sockets] : other.groups_) {
    for (auto& socket : sockets) groups_[address].push_back(std::move(socket));
  }
}

void ListeningSockets::retain(std::span<const WantedAddress> wanted, UnixFiles files) {
  for (auto group = groups_.begin(); group != groups_.end();) {
    const auto found = std::ranges::find(wanted, group->first, &WantedAddress::bind_address);
    if (found == wanted.end()) {
      if (files == UnixFiles::remove && is_unix(group->first.address)) ::unlink(group->first.address.path().c_str());
      group = groups_.erase(group);
      continue;
    }
    if (!group->first.udp) {
      for (const auto& socket : group->second) (void)::listen(socket.get(), found->options.backlog);
    }
    ++group;
  }
}

void ListeningSockets::close(UnixFiles files) {
  for (const auto& [address, sockets] : groups_) {
    if (files == UnixFiles::remove && is_unix(address.address)) ::unlink(address.address.path().c_str());
  }
  groups_.clear();
}

std::vector<int> ListeningSockets::descriptors() const {
  std::vector<int> result;
  for (const auto& [address, sockets] : groups_) {
    for (const auto& socket : sockets) result.push_back(socket.get());
  }
  return result;
}

std::vector<std::uint32_t> sockets_of_thread(std::uint32_t count, std::uint32_t thread, std::uint32_t threads) {
  std::vector<std::uint32_t> result;
  if (count == 0) return result;
  for (std::uint32_t i = thread; i < count; i += threads) result.push_back(i);
  if (result.empty()) result.push_back(thread % count);
  return result;
}

std::string sockets_to_text(std::span<const int> descriptors) {
  std::string text;
  for (const int fd : descriptors) text += fmt::format("{};", fd);
  return text;
}

std::vector<int> sockets_from_text(std::string_view text) {
  std::vector<int> result;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    int fd = -1;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), fd);
    if (parsed.ec == std::errc{} && parsed.ptr == word.data() + word.size() && fd > 2) result.push_back(fd);
  }
  return result;
}

}  // namespace gatehouse::server
