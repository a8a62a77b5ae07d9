// Path normalisation: the result is normal, escaping and normalising it again gives it back, and the fast path (no
// copy) agrees with the slow one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/http/semantics.hpp"
#include "proxy/http/target.hpp"

namespace {

using namespace gatehouse;
using namespace gatehouse::http;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const std::string& raw, Slashes slashes) {
  std::string storage;
  const Result<NormalizedPath> normal = normalize_path(raw, slashes, storage);
  if (!normal) {
    require(normal.error().reason == Reason::bad_target);
    return;
  }
  const std::string path(normal->path);
  require(path.starts_with('/') && normal->changed == (path != raw));
  require(path.find('\0') == std::string::npos);
  if (slashes == Slashes::merge) require(path.find("//") == std::string::npos);
  for (const char* dots : {"/../", "/./", "/..;", "/.;"}) require(path.find(dots) == std::string::npos);
  require(!path.ends_with("/..") && !path.ends_with("/."));
  if (normal->raw_differs_in_meaning) require(normal->changed || raw.find('\\') != std::string::npos);

  std::string escaped;
  escape_uri(path, EscapeSet::uri, escaped);
  require(needs_escape(path, EscapeSet::uri) == (escaped != path));
  std::string again_storage;
  const Result<NormalizedPath> again = normalize_path(escaped, slashes, again_storage);
  require(again.has_value() && again->path == path && !again->raw_differs_in_meaning);

  // An escaped first letter forces the slow path.
  if (!normal->changed && raw.size() > 1 && raw[1] >= 'a' && raw[1] <= 'f') {
    const std::string slow = std::string("/%6") + static_cast<char>('1' + (raw[1] - 'a')) + raw.substr(2);
    const Result<NormalizedPath> copied = normalize_path(slow, slashes, again_storage);
    require(copied.has_value() && copied->path == path && copied->changed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  check("/" + text, Slashes::merge);
  check("/" + text, Slashes::keep);
  (void)parse_authority(text);
  return 0;
}
