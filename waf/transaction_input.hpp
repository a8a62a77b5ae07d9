// What a WAF transaction sees of a request and its response. The fast path and libmodsecurity are given the same
// struct, so they cannot disagree about their input.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::waf {

/// One header field as it was received: name in its original case, value without surrounding white space.
struct HeaderView {
  std::string_view name;
  std::string_view value;
};

/// An address as text ("192.0.2.1", "2001:db8::1", no brackets) and a port in host order. Empty text for a UNIX socket.
struct AddressView {
  std::string_view text;
  std::uint16_t port = 0;
};

/// A body that was read completely, or as far as it is inspected: memory segments in order, then, if it was spilled,
/// the content of a file. Borrowed for the duration of the call it is passed to.
struct BodyView {
  std::span<const std::string_view> segments{};
  std::string_view spill_path{};  ///< empty: nothing was spilled; otherwise read from offset 0 after the segments
  /// The message's body is longer than what is given here because collecting stopped at the inspection limit.
  bool truncated = false;
};

/// The request as the WAF sees it. All views are borrowed for the duration of one call; Evaluation copies what it
/// keeps.
struct RequestInput {
  AddressView client;
  AddressView server;
  std::string_view method;
  std::string_view uri;      ///< raw request target, after guard_request_target()
  std::string_view version;  ///< "1.0", "1.1", "2.0"
  std::span<const HeaderView> headers;
  BodyView body;               ///< used by evaluate_request() and the fast path; Evaluation takes it in request_body()
  std::string_view unique_id;  ///< empty: libmodsecurity makes one
};

/// The response's head and, where it is inspected, its body.
struct ResponseInput {
  int status = 200;
  std::string_view protocol;  ///< "HTTP/1.1"
  std::span<const HeaderView> headers;
  BodyView body;
};

/// Turns a raw request target into the one the WAF is given, closing three holes of libmodsecurity 3.0.9:
/// - `%3F` before the first raw `?` becomes `%253F` (CVE-2024-1019: the library decodes the target before it looks for
/// the
///   query, so a path behind `%3F` would not be inspected);
/// - absolute-form (RFC 9112 section 3.2.2) becomes origin-form, since the library keeps "http://host" in
/// REQUEST_FILENAME;
/// - a raw `#`, NUL, control character, DEL or space is refused with Reason::bad_target: the library would cut the
/// target there. authority-form and `*` are returned as they are. Pure.
[[nodiscard]] Result<std::string> guard_request_target(std::string_view target);
/// True when guard_request_target() would return `target` as it is: ordinary targets need no copy.
[[nodiscard]] bool is_guarded_request_target(std::string_view target) noexcept;

}  // namespace gatehouse::waf
