#include "waf/fastpath/multipart_form.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath {
namespace {

constexpr std::size_t npos = std::string_view::npos;
// The library's line buffer has 4096 bytes and treats a longer header line as an error.
constexpr std::size_t max_header_line = 4000;
constexpr std::size_t max_boundary = 70;  // RFC 2046 section 5.1.1

bool equals_lower(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::ranges::equal(text, lower, [](char a, char b) {
           return steps::to_lower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
         });
}

bool take(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

/// The boundary of "multipart/form-data; boundary=token"; "" for any other form.
std::string_view boundary_of(std::string_view content_type) {
  constexpr std::string_view type = "multipart/form-data";
  if (content_type.size() < type.size() || !equals_lower(content_type.substr(0, type.size()), type)) return {};
  content_type.remove_prefix(type.size());
  if (!take(content_type, ";")) return {};
  skip_blanks(content_type);
  if (!take(content_type, "boundary=")) return {};
  const bool plain = std::ranges::all_of(content_type, [](char c) {
    return steps::is_alnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '+' || c == '\'';
  });
  return plain && content_type.size() <= max_boundary ? content_type : std::string_view();
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// A field's value as the library keeps it: without the line ends inside.
std::string_view without_line_ends(std::string_view content, Scratch& scratch) {
  if (content.find('\n') == npos) return content;
  unsigned char* out = scratch.reserve(content.size());
  std::size_t size = 0;
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    std::string_view line = content.substr(0, end);
    if (end != npos && line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) std::memcpy(out + size, line.data(), line.size());
    size += line.size();
    content.remove_prefix(end == npos ? content.size() : end + 1);
  }
  return scratch.commit(size);
}

std::string_view decimal(std::uint64_t value, Scratch& scratch) {
  char* text = reinterpret_cast<char*>(scratch.reserve(20));
  return scratch.commit(static_cast<std::size_t>(std::to_chars(text, text + 20, value).ptr - text));
}

}  // namespace

void MultipartForm::clear() noexcept {
  for (auto* list :
       {&arguments_, &files_, &file_names_, &file_sizes_, &file_contents_, &names_, &filenames_, &part_headers_}) {
    list->clear();
  }
  files_size_ = 0;
  boundary_lines_ = 0;
}

bool MultipartForm::parse(std::string_view content_type, std::string_view body, Scratch& scratch) {
  clear();
  const std::string_view boundary = boundary_of(content_type);
  if (boundary.empty()) return false;
  unsigned char* text = scratch.reserve(boundary.size() + 2);
  std::memcpy(text, "--", 2);
  std::memcpy(text + 2, boundary.data(), boundary.size());
  const std::string_view delimiter = scratch.commit(boundary.size() + 2);

  std::string_view rest = body;
  std::size_t delimiters = 1;
  if (!take(rest, delimiter) || !take(rest, "\r\n")) return false;
  boundary_lines_ = 1;
  for (;;) {
    Part part;
    part.first_header = part_headers_.size();
    if (!parse_headers(rest, part)) return false;
    // A line of the content that begins with two dashes is a delimiter or puts the library in doubt.
    if (rest.starts_with("--")) return false;
    const std::size_t end = rest.find("\n--");
    if (end == npos || end == 0 || rest[end - 1] != '\r') return false;
    if (!finish_part(part, rest.substr(0, end - 1), scratch)) return false;
    rest.remove_prefix(end + 1);
    if (!take(rest, delimiter)) return false;
    ++delimiters;
    if (take(rest, "\r\n")) {
      ++boundary_lines_;
      continue;
    }
    if (!take(rest, "--")) return false;
    if (take(rest, "\r\n")) ++boundary_lines_;  // an unterminated last line is recognised without being counted
    // The delimiter anywhere else counts as an unmatched one.
    return rest.empty() && count(body, delimiter) == delimiters;
  }
}

bool MultipartForm::parse_headers(std::string_view& rest, Part& part) {
  bool disposition = false;
  for (;;) {
    const std::size_t end = rest.find('\n');
    if (end == npos || end > max_header_line || end == 0 || rest[end - 1] != '\r') return false;
    const std::string_view with_end = rest.substr(0, end + 1);
    const std::string_view line = rest.substr(0, end - 1);
    rest.remove_prefix(end + 1);
    if (line.empty()) return disposition && part.name && !part.name->empty();
    if (line.find_first_of(std::string_view("\r\0", 2)) != npos) return false;
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const bool plain =
        std::ranges::all_of(name, [](char c) { return steps::is_alnum(static_cast<unsigned char>(c)) || c == '-'; });
    std::string_view value = line.substr(std::min(colon, line.size() - 1) + 1);
    skip_blanks(value);
    if (colon == npos || name.empty() || !plain || value.empty()) return false;
    for (std::size_t i = part.first_header; i < part_headers_.size(); ++i) {
      const std::string_view other = part_headers_[i].value;
      const bool repeated =
          other.size() > name.size() && other[name.size()] == ':' &&
          std::ranges::equal(other.substr(0, name.size()), name, [](char a, char b) {
            return steps::to_lower(static_cast<unsigned char>(a)) == steps::to_lower(static_cast<unsigned char>(b));
          });
      if (repeated) return false;
    }
    part_headers_.push_back({{}, with_end});
    if (equals_lower(name, "content-disposition")) {
      if (!parse_disposition(value, part)) return false;
      disposition = true;
    }
  }
}

/// form-data; name="..."; filename="...": each once, quoted, without escapes.
bool MultipartForm::parse_disposition(std::string_view value, Part& part) {
  if (!take(value, "form-data")) return false;
  while (!value.empty()) {
    if (!take(value, ";")) return false;
    skip_blanks(value);
    const bool is_name = take(value, "name=\"");
    if (!is_name && !take(value, "filename=\"")) return false;
    const std::size_t end = value.find_first_of("\"\\");
    if (end == npos || value[end] == '\\') return false;
    std::optional<std::string_view>& slot = is_name ? part.name : part.filename;
    if (slot) return false;
    slot = value.substr(0, end);
    value.remove_prefix(end + 1);
    skip_blanks(value);
  }
  return true;
}

bool MultipartForm::finish_part(const Part& part, std::string_view content, Scratch& scratch) {
  const std::string_view name = *part.name;
  names_.push_back({name, name});
  if (part.filename) filenames_.push_back({*part.filename, *part.filename});
  for (std::size_t i = part.first_header; i < part_headers_.size(); ++i) part_headers_[i].name = name;
  if (!part.filename || part.filename->empty()) {
    arguments_.push_back({name, without_line_ends(content, scratch)});
    return true;
  }
  files_.push_back({name, *part.filename});
  file_names_.push_back({name, name});
  file_sizes_.push_back({name, decimal(content.size(), scratch)});
  file_contents_.push_back({name, {}});  // only kept where files are stored
  files_size_ += content.size();
  return files_size_ <= INT32_MAX;
}

std::span<const Member> MultipartForm::members(VariableKind kind) const noexcept {
  switch (kind) {
    case VariableKind::files: return files_;
    case VariableKind::files_names: return file_names_;
    case VariableKind::files_sizes: return file_sizes_;
    case VariableKind::files_tmp_content: return file_contents_;
    case VariableKind::multipart_name: return names_;
    case VariableKind::multipart_filename: return filenames_;
    case VariableKind::multipart_part_headers: return part_headers_;
    default: return {};
  }
}

}  // namespace gatehouse::waf::fastpath
