#include "proxy/stream/udp_listener.hpp"

#include <algorithm>
#include <cerrno>

#include "proxy/stream/stream_thread.hpp"
#include "proxy/stream/udp_session.hpp"

namespace gatehouse::stream {
namespace {

constexpr int kBatchesPerEvent = 4;

}  // namespace

UdpListener::UdpListener(StreamThread& owner, SocketAddress address, int fd, int source_fd)
    : owner_(owner),
      address_(std::move(address)),
      wildcard_(std::ranges::all_of(address_.bytes(), [](std::uint8_t byte) { return byte == 0; })),
      source_fd_(source_fd),
      socket_(std::make_shared<UdpSocket>(fd)),
      descriptor_(owner.thread().reactor, fd) {
  descriptor_.wait_read(watch_, TimePoint::max());
}

bool UdpListener::receive_some() {
  DatagramBatch& batch = owner_.batch();
  for (int round = 0; round < kBatchesPerEvent; ++round) {
    const int got = batch.receive(socket_->fd());
    for (int i = 0; i < got; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto client = batch.source(at);
      if (!client || client->port() == 0) continue;  // nobody could be answered
      const auto local = wildcard_ ? batch.destination(at, address_.port()) : std::nullopt;
      take(*client, local.value_or(address_), batch.bytes(at));
    }
    if (got < static_cast<int>(DatagramBatch::kMost)) {
      descriptor_.readable = false;
      return false;
    }
  }
  // There may be more, and no further edge would tell: go on after the others had their turn.
  owner_.thread().reactor.arm(again_, owner_.thread().reactor.now());
  return false;
}

void UdpListener::take(const SocketAddress& client, const SocketAddress& local, std::string_view bytes) {
  if (const auto known = sessions_->find({client, local}); known != sessions_->end()) {
    const auto session = known->second;  // it may leave the table
    session->take(bytes);
    return;
  }
  const auto& generation = *owner_.generation()->shared;
  const auto listener = generation.udp_listeners.find(address_);
  auto& thread = owner_.thread();
  if (listener == generation.udp_listeners.end() || !owner_.make_room()) {
    thread.metrics.connections_dropped.add();
    if (listener != generation.udp_listeners.end())
      generation.error_log->log(LogLevel::alert, 0, "{} worker_connections are not enough", thread.connection_limit);
    return;
  }
  exchange::ConnectionInfo info;
  info.number = owner_.next_number();
  info.accepted = thread.reactor.now();
  info.peer = client;
  info.peer_ip = client.ip_string();
  info.local = local;
  auto session = std::make_shared<UdpSession>(owner_, listener->second, std::move(info), socket_, sessions_,
                                              wildcard_ ? std::optional(local) : std::nullopt);
  sessions_->emplace(UdpKey{client, local}, session);
  session->take(bytes);
  thread.reactor.spawn(UdpSession::serve(session));
}

}  // namespace gatehouse::stream
