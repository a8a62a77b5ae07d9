// The admin listener: /metrics, /healthz, /readyz. On a thread of its own, so that a scrape never waits for traffic nor traffic for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/unique_fd.hpp"

namespace gatehouse::server {

/// Whether the process serves.
enum class Readiness : std::uint8_t { starting, ready, draining };

/// What the endpoint says to a request.
struct AdminReply {
  int status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// The answer to `method` and `target` (a query is ignored); `metrics` makes the text of a scrape. Pure but for `metrics`.
[[nodiscard]] AdminReply answer_admin(std::string_view method, std::string_view target, Readiness readiness,
                                      const std::function<std::string()>& metrics);

/// Serves HTTP/1.1 on a listening socket. Limits: 64 connections, 8 KiB of request head, no request body, 10 s for a request and for
/// its answer, 100 requests on a connection.
class AdminServer {
 public:
  /// `listener`: a listening TCP or Unix socket. `metrics` is called on the server's thread. Throws std::system_error.
  AdminServer(UniqueFd listener, std::function<std::string()> metrics);
  /// Closes the connections and joins the thread.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  /// Any thread.
  void set_readiness(Readiness readiness) noexcept;
  /// Stops accepting; open connections get their answers. Any thread.
  void stop_accepting();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::server
