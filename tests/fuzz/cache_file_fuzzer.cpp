// A cache file's header is what was written or nothing; Cache-Control never makes an age of nonsense.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/cache/file_header.hpp"
#include "proxy/cache/freshness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace gatehouse::cache;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto header = decode(text)) {
    if (encode(*header).size() != header->size() || header->size() > size || !decode(encode(*header))) std::abort();
  }
  constexpr Seconds kNow = 1'800'000'000;
  Freshness result;
  bool refused = false;
  judge_cache_control(text, kNow, result, refused);
  if (result.valid_until != 0 && result.valid_until <= kNow) std::abort();
  if (result.stale_while_updating < 0 || result.stale_if_error < 0) std::abort();
  return 0;
}
