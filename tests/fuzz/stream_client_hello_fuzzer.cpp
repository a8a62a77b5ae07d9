// The first bytes of a connection that is read ahead: no input crashes the parser, more bytes never take a decision back,
// and nothing of a broken message is kept.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/stream/client_hello.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::stream;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ClientHello hello;
  const HelloParse whole = parse_client_hello(bytes, hello);
  if (whole != HelloParse::complete && (!hello.server_name.empty() || !hello.alpn.empty())) std::abort();
  if (hello.server_name.size() > size || hello.alpn.size() > size) std::abort();
  for (const std::size_t part : {size / 2, size / 3, size > 0 ? size - 1 : 0}) {
    ClientHello earlier;
    const HelloParse before = parse_client_hello(bytes.substr(0, part), earlier);
    if (before == HelloParse::incomplete) continue;
    if (before != whole || earlier.server_name != hello.server_name || earlier.alpn != hello.alpn) std::abort();
  }
  return 0;
}
