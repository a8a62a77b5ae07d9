#include "proxy/stream/upstream_choice.hpp"

#include <fmt/format.h>

#include "proxy/config/endpoint.hpp"
#include "proxy/stream/variables.hpp"
#include "proxy/upstream/resolver.hpp"

namespace gatehouse::stream {
namespace {

constexpr int kBadGateway = 502;
constexpr int kInternalError = 500;
constexpr std::string_view kConnecting = "connecting to upstream";

}  // namespace

io::Task<int> UpstreamChoice::find() {
  session_.proxying = true;
  const config::ProxyPass& pass = *session_.server->server->root.proxy_pass;
  if (pass.target) {
    if (const int status = find_variable(pass); status != 0) co_return status;
  } else {
    host_ = pass.host;
    cluster_ = session_.generation->clusters[pass.upstream];
  }
  const TimePoint deadline = session_.now() + session_.settings().resolver_timeout;
  while (cluster_->awaits_first_answer()) {
    auto waiting = cluster_->resolved().wait(deadline);
    if (const bool notified = co_await waiting; !notified) break;
  }
  if (cluster_->awaits_first_answer()) {
    session_.log(LogLevel::error, fmt::format("{} could not be resolved (110: Operation timed out)", host_));
    co_return kBadGateway;
  }
  first_try_ = session_.now();
  tries_left_ = cluster_->cluster().tries(session_.settings().proxy_next_upstream_tries);
  co_return 0;
}

// A value with variables names an upstream block, an address, or a host to be resolved.
int UpstreamChoice::find_variable(const config::ProxyPass& pass) {
  const std::string_view text = evaluate(*pass.target, session_);
  const auto& generation = *session_.generation;
  std::string error;
  const auto endpoint = config::parse_endpoint(text, 0, error);
  if (!endpoint) {
    session_.log(LogLevel::error, fmt::format("{} in upstream \"{}\"", error, text));
    return kInternalError;
  }
  host_ = session_.arena.copy(endpoint->host);
  const auto named = generation.shared->upstream_by_name.find(endpoint->host);
  if (named != generation.shared->upstream_by_name.end() && !endpoint->port) {
    cluster_ = generation.clusters[named->second];
    return 0;
  }
  if (!endpoint->port && !endpoint->unix_socket) {
    session_.log(LogLevel::error, fmt::format("no port in upstream \"{}\"", text));
    return kInternalError;
  }
  const std::string host = endpoint->unix_socket ? std::string(text)
                           : endpoint->ipv6      ? fmt::format("[{}]", endpoint->host)
                                                 : endpoint->host;
  cluster_ = session_.thread.dynamic_cluster(host, endpoint->port.value_or(0), session_.settings().resolver);
  return 0;
}

bool UpstreamChoice::pick() {
  upstream::PickKey key;
  key.client_address = session_.client.bytes();
  if (const auto& hash = cluster_->spec().hash_key) key.hash_key = evaluate(*hash, session_);
  close_try();
  try_began_ = session_.now();
  const auto picked = cluster_->cluster().pick(key, attempt_, try_began_);
  UpstreamTry& current = session_.tries.emplace_back();
  if (!picked) {
    current.peer = session_.arena.copy(cluster_->cluster().name());
    session_.log(LogLevel::error, row(picked.error().reason).text, kConnecting);
    close_try();
    return false;
  }
  peer_ = upstream::PeerLease(cluster_->cluster(), **picked);
  current.peer = session_.arena.copy(peer_->address_text);
  return true;
}

void UpstreamChoice::on_connected() {
  session_.tries.back().connect_time = std::chrono::duration_cast<Milliseconds>(session_.now() - try_began_);
  cluster_->cluster().on_success(*peer_);
  session_.metrics().upstream_connects.add();
}

bool UpstreamChoice::next() {
  end(true);
  const auto& settings = session_.settings();
  if (tries_left_ > 0) --tries_left_;
  if (tries_left_ == 0 || !session_.stream().proxy_next_upstream) return false;
  const Milliseconds limit = settings.proxy_next_upstream_timeout;
  return limit.count() == 0 || session_.now() - first_try_ < limit;
}

void UpstreamChoice::end(bool failed) {
  close_try();
  if (!peer_) return;
  if (failed) {
    session_.metrics().upstream_failures.add();
    const auto effect = cluster_->cluster().on_failure(*peer_, session_.now());
    if (effect == upstream::FailureEffect::disabled) {
      session_.log(LogLevel::warn, "upstream server temporarily disabled", kConnecting);
    }
  }
  peer_.reset();
}

void UpstreamChoice::close_try() {
  if (session_.tries.empty()) return;
  UpstreamTry& current = session_.tries.back();
  if (current.session_time.count() < 0) {
    current.session_time = std::chrono::duration_cast<Milliseconds>(session_.now() - try_began_);
  }
}

std::optional<SocketAddress> UpstreamChoice::local_address() {
  const auto& bind = session_.stream().proxy_bind;
  if (!bind) return std::nullopt;
  const std::string_view text = evaluate(*bind, session_);
  if (text.empty()) return std::nullopt;
  auto address = config::parse_ip(text, 0);
  if (!address) address = SocketAddress::parse(text, std::uint16_t{0});
  if (!address) session_.log(LogLevel::error, fmt::format("invalid local address \"{}\"", text));
  return address;
}

}  // namespace gatehouse::stream
