#include "proxy/stream/session.hpp"

#include <system_error>

#include <fmt/format.h>

#include "proxy/base/ascii.hpp"
#include "proxy/stream/access_log.hpp"

namespace gatehouse::stream {

Session::Session(exchange::ThreadState& thread_, std::shared_ptr<const ThreadGeneration> generation_,
                 std::size_t listener_, Transport transport_, exchange::ConnectionInfo connection_)
    : thread(thread_),
      generation(std::move(generation_)),
      listener(generation->shared->listeners[listener_]),
      server(&generation->shared->servers[listener.listener->default_server]),
      transport(transport_),
      connection(std::move(connection_)),
      client(connection.peer),
      client_ip(connection.peer_ip),
      counted_(&metrics()) {
  counted_->begun.add();
  counted_->open.add();
}

Session::~Session() { counted_->open.subtract(); }

void Session::set_variable(std::uint16_t slot, std::string_view value) {
  if (variables.size() <= slot) variables.resize(std::size_t{slot} + 1);
  variables[slot] = value.data() == nullptr ? std::string_view("") : value;
}

void Session::choose_server(std::string_view name) {
  if (name.empty() || listener.listener->servers.size() < 2) return;
  const std::string lower = lower_case(name.ends_with('.') ? name.substr(0, name.size() - 1) : name);
  config::Regex::Captures found;
  const auto match = listener.names.find(lower, found);
  server = &generation->shared->servers[match.server->id];
  if (match.name == nullptr || !match.name->regex) return;
  captured = arena.copy(lower);
  captures = std::move(found);
  const auto& regex = *match.name->regex;
  for (std::size_t i = 0; i < regex.slots().size(); ++i) {
    const std::size_t group = std::size_t{regex.names()[i].second} * 2;
    if (group + 1 >= captures.offsets.size() || captures.offsets[group] == std::string_view::npos) continue;
    set_variable(regex.slots()[i],
                 captured.substr(captures.offsets[group], captures.offsets[group + 1] - captures.offsets[group]));
  }
}

void Session::log_plain(LogLevel level, std::string_view text) const {
  server->error_log->log(level, connection.number, "{}", text);
}

void Session::log(LogLevel level, std::string_view text, std::string_view action) const {
  if (!logs(level)) return;
  fmt::memory_buffer line;
  const auto out = std::back_inserter(line);
  fmt::format_to(out, "{}", text);
  fmt::format_to(out, " while {}", action);
  fmt::format_to(out, ", {}client: {}, server: {}", transport == Transport::udp ? "udp " : "", client_ip,
                 listener.address);
  if (proxying) {
    const UpstreamTry* last = tries.empty() ? nullptr : &tries.back();
    if (last != nullptr && !last->peer.empty()) fmt::format_to(out, ", upstream: \"{}\"", last->peer);
    fmt::format_to(out, ", bytes from/to client:{}/{}, bytes from/to upstream:{}/{}", received, sent,
                   last == nullptr ? 0 : last->bytes_received, last == nullptr ? 0 : last->bytes_sent);
  }
  server->error_log->write(level, connection.number, {line.data(), line.size()});
}

void Session::finish() {
  limits.clear();
  ServerMetrics& counters = metrics();
  counters.count_end(status);
  counters.received.add(received);
  counters.sent.add(sent);
  write_access_log(*this);
}

std::string with_errno(std::string_view text, int os_error) {
  return fmt::format("{} ({}: {})", text, os_error, std::generic_category().message(os_error));
}

}  // namespace gatehouse::stream
