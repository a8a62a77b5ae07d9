// The canonical path of a request-target: the one form that locations, access rules and the WAF see.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"

namespace gatehouse::http {

/// nginx's `merge_slashes`.
enum class Slashes : std::uint8_t { merge, keep };

/// A normalised path.
struct NormalizedPath {
  /// Decoded once, dot segments resolved, slashes merged; starts with '/'. Borrows from the raw path if nothing had to
  /// change, else from the storage given to normalize_path.
  std::string_view path;
  bool changed = false;      ///< differs from the raw path
  bool had_escapes = false;  ///< the raw path held a %XX: nginx re-escapes a rewritten URI only then
  /// An origin may understand the raw path as another one than `path`: dot segments stand beside encoded slashes,
  /// backslashes or empty segments, or have parameters (`..;`). The raw form must not be forwarded; send
  /// escape_uri(path).
  bool raw_differs_in_meaning = false;
};

/// Normalises the path part of a request-target (no query, starting with '/') as nginx does: decode %XX, resolve `.`
/// and
/// `..`, merge slashes. Beyond nginx, parameters of dot segments are dropped (`/a/..;x/b` is `/b`), as servlet
/// containers do.
///
/// Error: bad_target for %00, an incomplete escape, `..` above the root, overlong UTF-8 (RFC 3629 section 3), a dot
/// segment delimited by backslashes, and dot segments or NUL that only a second decoding would reveal: none of these
/// has one meaning that every origin agrees on. `storage` is overwritten if needed and then backs the result.
[[nodiscard]] Result<NormalizedPath> normalize_path(std::string_view raw, Slashes slashes, std::string& storage);

/// Which bytes are escaped: nginx's NGX_ESCAPE_URI (a path; keeps '/', ';', '&', '+', escapes '?', '#', '%', SP, CTL,
/// 8-bit and what RFC 3986 excludes), NGX_ESCAPE_ARGS (a query value made by rewrite: also '&', '+', ';'), _URI_COMPONENT, _REFRESH.
enum class EscapeSet : std::uint8_t { uri, args, component, refresh };

/// Appends `text` to `out` with the set's bytes as %XX, upper-case hexadecimal.
void escape_uri(std::string_view text, EscapeSet set, std::string& out);

/// Whether escape_uri would change the text.
[[nodiscard]] bool needs_escape(std::string_view text, EscapeSet set) noexcept;

}  // namespace gatehouse::http
