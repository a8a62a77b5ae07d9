// The PROXY protocol parser: an answer once given for a prefix stands for the longer input, and sizes are within
// limits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/http/proxy_protocol.hpp"

namespace {

using namespace gatehouse::http;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  ProxyHeader whole;
  const ProxyParse status = parse_proxy_header(text, whole);
  if (status == ProxyParse::complete) {
    require(whole.size <= text.size() && whole.size <= (whole.version == 1 ? kProxyV1Max : kProxyV2Max));
    require(whole.source.family == whole.destination.family);
    // The header needs exactly its own bytes.
    ProxyHeader exact;
    require(parse_proxy_header(std::string(text, 0, whole.size), exact) == ProxyParse::complete);
    require(exact.source == whole.source && exact.destination == whole.destination);
    require(parse_proxy_header(std::string(text, 0, whole.size - 1), exact) == ProxyParse::incomplete);
    // What we would send upstream in version 1 is read back as it was.
    std::string rewritten;
    append_proxy_v1(whole.source, whole.destination, rewritten);
    ProxyHeader again;
    require(rewritten.size() <= kProxyV1Max && parse_proxy_header(rewritten, again) == ProxyParse::complete);
    if (again.source.family != PlainAddress::Family::none) {
      require(again.source == whole.source && again.destination == whole.destination);
    }
  }
  const std::size_t step = size / 16 + 1;
  for (std::size_t i = 0; i < size; i += step) {
    ProxyHeader prefix;
    const ProxyParse early = parse_proxy_header(std::string(text, 0, i), prefix);
    if (early != ProxyParse::incomplete) require(early == status);
  }
  return 0;
}
