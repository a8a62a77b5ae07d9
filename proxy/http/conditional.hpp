// Conditional and range requests (RFC 9110 sections 13 and 14), with nginx's reading of them. Pure.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "proxy/http/fields.hpp"

namespace gatehouse::http {

/// What is known of the representation that a response carries.
struct Validators {
  std::optional<std::time_t> last_modified;
  std::string_view etag;  ///< with its quotes, and W/ when it is weak; empty: none
};

/// nginx's if_modified_since.
enum class IfModifiedSince : std::uint8_t { off, exact, before };

enum class Precondition : std::uint8_t { proceed, not_modified, failed };

/// If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since against `validators`, in the order of nginx's
/// ngx_http_not_modified_filter_module.
[[nodiscard]] Precondition check_preconditions(const Fields& request, const Validators& validators,
                                               IfModifiedSince rule) noexcept;

/// Whether an If-Range, if there is one, lets the Range field count (RFC 9110 section 13.1.5).
[[nodiscard]] bool if_range_holds(const Fields& request, const Validators& validators) noexcept;

/// Bytes `first` up to but not including `end`.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t size() const noexcept { return end - first; }
};

/// What a Content-Range field says.
struct ContentRange {
  ByteRange bytes;
  std::optional<std::uint64_t> total;  ///< nothing: "*"
};

/// Reads "bytes 0-9/100"; nothing where it is none, or ends before it begins (RFC 9110 section 14.4). Spaces may stand between
/// its parts, as in nginx's ngx_http_slice_parse_content_range.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value) noexcept;

/// What a Range field asks of a representation.
struct RangePlan {
  enum class Kind : std::uint8_t { whole, partial, unsatisfiable };
  Kind kind = Kind::whole;
  boost::container::small_vector<ByteRange, 1> ranges;
};

/// Reads "bytes=0-9,-5". More than `most` ranges, or more bytes in all than the representation has, count as no Range
/// field at all; what can't be read is unsatisfiable (nginx's ngx_http_range_parse).
[[nodiscard]] RangePlan plan_ranges(std::string_view value, std::uint64_t size, std::uint64_t most);

/// Whether an entity tag stands in the list of an If-Match or If-None-Match field. `weak`: W/ is not looked at.
[[nodiscard]] bool tag_is_listed(std::string_view list, std::string_view etag, bool weak) noexcept;

}  // namespace gatehouse::http
