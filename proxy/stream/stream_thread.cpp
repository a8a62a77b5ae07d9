#include "proxy/stream/stream_thread.hpp"

#include <algorithm>

#include <fcntl.h>

#include "proxy/stream/tcp_session.hpp"
#include "proxy/upstream/resolver.hpp"

namespace gatehouse::stream {

StreamThread::~StreamThread() = default;

void StreamThread::use(std::shared_ptr<const Generation> generation) {
  auto next = std::make_shared<ThreadGeneration>();
  next->clusters = upstream::carry_over(generation->config->stream.upstreams,
                                        generation_ ? generation_->clusters : upstream::Clusters{}, thread_.reactor,
                                        thread_.resolver, thread_.random_state);
  for (const auto& server : generation->servers) next->metrics.push_back(&metrics_.server(server.label));
  next->shared = std::move(generation);
  generation_ = std::move(next);
}

void StreamThread::read_on(const std::vector<UdpSource>& sources) {
  std::vector<std::unique_ptr<UdpListener>> kept;
  for (const auto& source : sources) {
    const auto known = std::find_if(udp_.begin(), udp_.end(), [&](const auto& listener) {
      return listener && listener->source_fd() == source.fd && listener->address() == source.address;
    });
    if (known != udp_.end()) {
      kept.push_back(std::move(*known));
      continue;
    }
    const int fd = ::fcntl(source.fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) kept.push_back(std::make_unique<UdpListener>(*this, source.address, fd, source.fd));
  }
  udp_ = std::move(kept);
}

std::optional<std::size_t> StreamThread::find_listener(const SocketAddress& address) const {
  const auto& listeners = generation_->shared->tcp_listeners;
  const auto found = listeners.find(address);
  return found == listeners.end() ? std::nullopt : std::optional(found->second);
}

void StreamThread::serve(io::Socket socket, std::size_t listener, exchange::ConnectionInfo info) {
  thread_.reactor.spawn(serve_connection(*this, std::move(socket), listener, std::move(info)));
}

void StreamThread::look_after() {
  for (const auto& cluster : generation_->clusters) upstream::refresh_names(cluster, thread_.resolver);
}

DatagramBatch& StreamThread::batch() {
  if (!batch_) batch_ = std::make_unique<DatagramBatch>();
  return *batch_;
}

}  // namespace gatehouse::stream
