// The loader never crashes, never hangs, and gives either a configuration or an error, for any text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/config/dump.hpp"
#include "proxy/config/loader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace gatehouse::config;
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  // No input may make the loader read other files or ask a name server.
  if (size > 65536) return 0;
  for (const std::string_view word : {"include", "listen", "set_real_ip_from"}) {
    if (text.find(word) != text.npos) return 0;
  }
  LoadOptions options;
  options.prefix = "/nonexistent";
  options.accept_missing = true;
  const auto result = load_text("fuzz.conf", text, options);
  bool has_error = false;
  for (const auto& message : result.diagnostics) has_error |= message.level >= LogLevel::error;
  if ((result.config == nullptr) != has_error) std::abort();
  if (result.config) (void)dump_values(*result.config);
  return 0;
}
