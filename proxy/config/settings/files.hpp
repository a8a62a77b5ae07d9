// Settings of files: root, alias, index, autoindex, conditions and ranges (nginx's core, static, index and autoindex modules).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/setters.hpp"
#include "proxy/http/conditional.hpp"

namespace gatehouse::config {

struct FileSettings {
  enum class Packed : std::uint8_t { off, on, always };
  enum class Listing : std::uint8_t { html, xml, json, jsonp };
  enum class Symlinks : std::uint8_t { follow, refuse, if_not_owner };
  static constexpr std::size_t kNoAlias = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t kWholeAlias =
      kNoAlias - 1;  ///< in a location with a regular expression: the alias is the path

  std::optional<ComplexValue> root;  ///< root's or alias' argument; nothing: `html` below the prefix
  std::size_t alias = kNoAlias;      ///< how many bytes of the URI the alias stands for
  std::vector<ComplexValue> index;   ///< empty: index.html
  bool autoindex = false;
  bool autoindex_exact_size = true;
  bool autoindex_localtime = false;
  Listing autoindex_format = Listing::html;
  bool random_index = false;
  bool etag = true;
  http::IfModifiedSince if_modified_since = http::IfModifiedSince::exact;
  std::optional<std::uint64_t> max_ranges;  ///< nothing: no limit
  Packed gzip_static = Packed::off;
  Packed brotli_static = Packed::off;
  Symlinks disable_symlinks = Symlinks::follow;
  std::optional<ComplexValue> symlinks_from;  ///< `from=`: the part of a path that is not checked
};

template <>
struct GroupOf<FileSettings> {
  static constexpr auto member = &LocationSettings::files;
};

/// The group of a place, or the defaults.
[[nodiscard]] inline const FileSettings& files_of(const LocationSettings& settings) noexcept {
  static const FileSettings kDefaults;
  return settings.files ? *settings.files : kDefaults;
}

/// `try_files FILE... URI|=CODE|@NAME`.
struct TryFiles {
  struct Candidate {
    ComplexValue path;
    bool directory = false;  ///< written with a slash at its end
  };
  std::vector<Candidate> candidates;
  ComplexValue fallback;  ///< a URI with arguments, or @NAME
  int status = 0;         ///< of =CODE; then `fallback` is not used
};

}  // namespace gatehouse::config
