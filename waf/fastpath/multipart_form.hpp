// Well-formed multipart/form-data bodies taken apart as the library takes them apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/base/units.hpp"
#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/member.hpp"
#include "waf/fastpath/scratch.hpp"

namespace gatehouse::waf::fastpath {

/// What browsers and HTTP clients send: an unquoted boundary, CRLF lines, `form-data` with quoted names. Everything
/// else is refused, for the library reads some of it beyond its buffer (an unclosed quote), so that it has no definite
/// value.
///
/// One per thread, reused. Values that hold line ends differ from the text sent: the library drops them.
class MultipartForm {
 public:
  /// False unless the body is of the form above; then nothing else here is meaningful. `content_type` is the request's
  /// only Content-Type. Views point into `body` or `scratch`.
  [[nodiscard]] bool parse(std::string_view content_type, std::string_view body, Scratch& scratch);

  /// Fields that are not files, in order: they become arguments.
  [[nodiscard]] std::span<const Member> arguments() const noexcept { return arguments_; }
  /// FILES, FILES_NAMES, FILES_SIZES, FILES_TMP_CONTENT, MULTIPART_NAME, MULTIPART_FILENAME, MULTIPART_PART_HEADERS;
  /// empty for any other collection.
  [[nodiscard]] std::span<const Member> members(VariableKind kind) const noexcept;
  [[nodiscard]] bool has_files() const noexcept { return !files_.empty(); }
  [[nodiscard]] std::uint64_t files_size() const noexcept { return files_size_; }
  /// MULTIPART_UNMATCHED_BOUNDARY: "2" is what the library says of two and more boundary lines that match.
  [[nodiscard]] std::string_view unmatched_boundary() const noexcept { return boundary_lines_ >= 2 ? "2" : "0"; }

  void clear() noexcept;

 private:
  struct Part {
    std::optional<std::string_view> name;
    std::optional<std::string_view> filename;
    std::size_t first_header = 0;
  };
  bool parse_headers(std::string_view& rest, Part& part);
  bool parse_disposition(std::string_view value, Part& part);
  bool finish_part(const Part& part, std::string_view content, Scratch& scratch);

  std::vector<Member> arguments_;
  std::vector<Member> files_;
  std::vector<Member> file_names_;
  std::vector<Member> file_sizes_;
  std::vector<Member> file_contents_;
  std::vector<Member> names_;
  std::vector<Member> filenames_;
  std::vector<Member> part_headers_;
  std::uint64_t files_size_ = 0;
  std::size_t boundary_lines_ = 0;
};

}  // namespace gatehouse::waf::fastpath
