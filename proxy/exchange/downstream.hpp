// The client's side of one exchange, whatever the HTTP version: the session implements it, the exchange drives it.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/config/model.hpp"
#include "proxy/http/fields.hpp"
#include "proxy/http/framing.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// A response head as the exchange wants it sent. Framing fields (Content-Length, Transfer-Encoding, Connection) are not in `fields`: the
/// session writes them for its version.
struct ResponseHeadOut {
  int status = 0;
  std::string_view reason;  ///< empty: the status' own phrase
  http::Fields fields;
  http::BodyFraming framing;  ///< `length` or `none`: known; `chunked`: unknown length
  bool close_after = false;   ///< the client is told that the connection ends here
};

/// One exchange's view of the client. All calls belong to the reactor's thread; one call at a time and direction.
class Downstream {
 public:
  virtual ~Downstream() = default;

  /// The limits of the place the request was routed to; the defaults hold until then.
  virtual void use_settings(const config::LocationSettings& settings) noexcept = 0;

  /// The next piece of the request body, empty at its end. Borrowed until the next call. Sends `100 Continue` when the client waits
  /// for it. Errors: the request group of the reasons (bad_chunk, body_timeout, client_closed ...).
  [[nodiscard]] virtual io::Task<Result<std::string_view>> read_body() = 0;
  /// Whether read_body() has nothing more to give: the body ended, or there is none.
  [[nodiscard]] virtual bool body_finished() const noexcept = 0;
  /// The whole rest of the body has been received: reading it waits for nothing.
  [[nodiscard]] virtual bool body_at_hand() const noexcept { return body_finished(); }
  /// Ends a read_body() that waits in another coroutine with Reason::canceled.
  virtual void cancel_read_body() noexcept = 0;
  /// Trailer fields of a finished chunked request body.
  [[nodiscard]] virtual const http::Fields* request_trailers() const noexcept = 0;

  /// Sends an interim response (1xx other than 101).
  [[nodiscard]] virtual io::Task<Result<void>> send_interim(const ResponseHeadOut& head) = 0;
  /// Sends the head together with the first bytes of the body; `complete`: the body ends with them.
  [[nodiscard]] virtual io::Task<Result<void>> send_head(const ResponseHeadOut& head, std::string_view body,
                                                         bool complete) = 0;
  /// Sends more of the body. `trailers` may be given with the last piece.
  [[nodiscard]] virtual io::Task<Result<void>> send_body(std::string_view body, bool complete,
                                                         const http::Fields* trailers) = 0;
  [[nodiscard]] virtual bool head_sent() const noexcept = 0;

  /// Bytes written to the client so far for this exchange, and those of them that were body.
  [[nodiscard]] virtual std::uint64_t bytes_sent() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t body_bytes_sent() const noexcept = 0;
  /// Bytes of the request so far: head and body as received.
  [[nodiscard]] virtual std::uint64_t request_bytes() const noexcept = 0;

  /// While set, the client's disappearance cancels `stream`, so that an upstream does not work for nobody. Null ends the watch.
  virtual void watch_client(io::Stream* stream) noexcept = 0;
  /// Whether the watch has seen the client go.
  [[nodiscard]] virtual bool client_gone() const noexcept = 0;

  /// Turns the connection into a tunnel to `upstream` after `head` (a 101) was sent, until both sides are done. `early` are bytes the
  /// upstream sent behind its head.
  [[nodiscard]] virtual io::Task<Result<void>> tunnel(const ResponseHeadOut& head, io::Stream& upstream,
                                                      std::string_view early, Milliseconds idle_timeout) = 0;

  /// The connection must not carry another request.
  virtual void close_after_response() noexcept = 0;
  /// Cuts the response: nothing more is sent and the connection is reset, so that the client sees that it is incomplete.
  virtual void abort() noexcept = 0;
  [[nodiscard]] virtual bool aborted() const noexcept = 0;
};

}  // namespace gatehouse::exchange
