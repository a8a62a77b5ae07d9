// Incremental, zero-copy parser of an upstream's HTTP/1 response head (RFC 9112 section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/message.hpp"
#include "proxy/http/request_parser.hpp"

namespace gatehouse::http {

/// Limits of an upstream response's head, in bytes and lines.
struct ResponseParseLimits {
  std::size_t head = std::size_t{16} * 1024;  ///< nginx's proxy_buffer_size; beyond: upstream_head_too_large
  std::size_t fields = 1000;                  ///< beyond: upstream_head_too_large
};

/// Parses one response head from a growing buffer, used like RequestParser.
///
/// A line may end with a bare LF, as nginx accepts: a bare CR is refused everywhere and the response is always written
/// anew for the client, so the choice can't make two readers disagree. Obs-fold, whitespace before the colon and CTLs
/// are refused with upstream_invalid_head.
class ResponseParser {
 public:
  explicit ResponseParser(const ResponseParseLimits& limits = {}) noexcept : limits_(limits) {}

  /// `buffered`: all bytes since the head's start; never shorter than in the call before.
  [[nodiscard]] ParseStatus parse(std::string_view buffered);

  [[nodiscard]] const ResponseHead& head() const noexcept { return head_; }
  [[nodiscard]] ResponseHead& head() noexcept { return head_; }
  /// upstream_invalid_head or upstream_head_too_large after `failed`.
  [[nodiscard]] Reason reason() const noexcept { return reason_; }

  /// Ready for the next head: after an interim response, or for the next request on the connection.
  void reset() noexcept;

 private:
  enum class Stage : std::uint8_t { status_line, fields, done };

  ParseStatus fail(Reason reason) noexcept;
  bool take_status_line(std::string_view line);

  ResponseParseLimits limits_;
  ResponseHead head_;
  const char* base_ = nullptr;
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
  Stage stage_ = Stage::status_line;
  Reason reason_ = Reason::none;
};

}  // namespace gatehouse::http
