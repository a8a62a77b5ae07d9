// Incremental, zero-copy parser of an HTTP/1 request head (RFC 9112 sections 2 to 5), strict where the RFC leaves a
// choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::http {

/// What happens to a field whose name is a token but not made of letters, digits and '-' alone (dots, underscores ...):
/// origins that turn names into variables confuse `X.Real.IP` and `X_Real_IP` with `X-Real-IP`.
enum class NamePolicy : std::uint8_t {
  drop,    ///< nginx's `ignore_invalid_headers on` (default): left out and counted
  keep,    ///< nginx's `ignore_invalid_headers off`
  refuse,  ///< 400; nginx has no such setting
};

/// Whether `_` is an ordinary name character: nginx's `underscores_in_headers`.
enum class Underscores : std::uint8_t { unusual, usual };

/// Limits and policies of request heads; the defaults are nginx's. Sizes are in bytes and count a line's CRLF.
struct ParseLimits {
  std::size_t request_line = 8192;           ///< beyond: target_too_long (414)
  std::size_t field_line = 8192;             ///< beyond: fields_too_large (431)
  std::size_t head = std::size_t{4} * 8192;  ///< whole head; beyond: fields_too_large (431)
  std::size_t fields = 200;                  ///< `max_headers`, dropped ones included; beyond: fields_too_large (431)
  NamePolicy names = NamePolicy::drop;
  Underscores underscores = Underscores::unusual;
};

/// What a parser says about the bytes it has seen.
enum class ParseStatus : std::uint8_t {
  incomplete,  ///< give it more bytes
  complete,    ///< head() is filled
  failed,      ///< reason() says why; the connection can't be used any further
};

/// Parses one request head from a growing buffer. Lines are judged as soon as they are complete and bytes are looked at
/// once, however finely they arrive; limits and hopeless beginnings (a TLS hello) are seen before the head ends.
///
/// Usage: parse(buffer) with everything buffered so far, from the head's first byte; on `incomplete` append to the
/// buffer (it may move) and call again. After `complete`, head() borrows from the buffer of that call.
class RequestParser {
 public:
  explicit RequestParser(const ParseLimits& limits = {}) noexcept : limits_(limits) {}

  /// `buffered`: all bytes since the head's start; never shorter than in the call before.
  [[nodiscard]] ParseStatus parse(std::string_view buffered);

  /// The head; meaningful after `complete`. Its capacity is reused by the next request.
  [[nodiscard]] const RequestHead& head() const noexcept { return head_; }
  [[nodiscard]] RequestHead& head() noexcept { return head_; }

  /// Why parsing failed: a Reason of the request group, its status says 400, 414, 431, 505 or close.
  [[nodiscard]] Reason reason() const noexcept { return reason_; }

  /// Whether a byte of a request (a leading CRLF is none) was seen: decides between an idle close and 408 when the peer
  /// stays silent.
  [[nodiscard]] bool started() const noexcept { return stage_ != Stage::start; }

  /// Ready for the next request of the connection.
  void reset() noexcept;

  /// New limits, as when the server block is known; between requests only.
  void set_limits(const ParseLimits& limits) noexcept { limits_ = limits; }

 private:
  enum class Stage : std::uint8_t { start, request_line, fields, done };

  ParseStatus fail(Reason reason) noexcept;
  ParseStatus begin(std::string_view buffered);
  ParseStatus too_long(std::size_t line_bytes, std::size_t head_bytes);
  Reason take_request_line(std::string_view line);
  Reason take_field_line(std::string_view line);

  ParseLimits limits_;
  RequestHead head_;
  const char* base_ = nullptr;  // where the buffer was when the views were made
  std::size_t line_start_ = 0;  // offset of the first byte not yet understood
  std::size_t scanned_ = 0;     // offset up to which no line end was found
  Stage stage_ = Stage::start;
  Reason reason_ = Reason::none;
};

}  // namespace gatehouse::http
