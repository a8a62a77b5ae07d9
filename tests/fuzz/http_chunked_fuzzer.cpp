// The chunked decoder: cut anywhere, it decodes what it decodes at once; what it accepts, Boost.Beast reads the same
// way.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "proxy/http/chunked.hpp"

namespace {

using namespace gatehouse;
using namespace gatehouse::http;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Outcome {
  std::string body;
  std::string trailers;
  std::size_t consumed = 0;
  Reason reason = Reason::none;
  bool finished = false;
};

// `cuts` gives the sizes of the pieces, used in a circle; an empty one means all at once.
Outcome decode(std::string_view text, std::string_view cuts, BodyOf body_of) {
  Outcome out;
  ChunkedDecoder decoder(body_of);
  for (std::size_t turn = 0; !text.empty(); ++turn) {
    const std::size_t piece =
        cuts.empty() ? text.size() : static_cast<unsigned char>(cuts[turn % cuts.size()]) % 16 + std::size_t{1};
    std::string copy(text.substr(0, piece));  // of its own, so that a sanitizer sees a view kept for too long
    text.remove_prefix(copy.size());
    std::string_view unread = copy;
    for (bool more = true; more;) {
      const ChunkedDecoder::Step step = decoder.next(unread);
      require(step.consumed <= unread.size());
      unread.remove_prefix(step.consumed);
      out.consumed += step.consumed;
      switch (step.status) {
        case ChunkedDecoder::Status::data:
          require(!step.data.empty());
          out.body += step.data;
          break;
        case ChunkedDecoder::Status::need_more:
          require(unread.empty());
          more = false;
          break;
        case ChunkedDecoder::Status::failed: out.reason = decoder.reason(); return out;
        case ChunkedDecoder::Status::finished:
          out.finished = true;
          for (const Field& field : decoder.trailers())
            out.trailers.append(field.name).append(field.value).append("\n");
          return out;
      }
    }
  }
  return out;
}

void compare_with_beast(std::string_view text, const Outcome& ours) {
  namespace beast_http = boost::beast::http;
  beast_http::request_parser<beast_http::string_body> oracle;
  oracle.header_limit(1U << 20);
  oracle.body_limit(boost::none);
  oracle.eager(true);
  boost::beast::error_code ec;
  const std::string message = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(text);
  std::size_t at = 0;
  while (!ec && !oracle.is_done() && at < message.size()) {
    const std::size_t used = oracle.put(boost::asio::buffer(message.data() + at, message.size() - at), ec);
    if (used == 0 && !ec) break;
    at += used;
  }
  require(!ec && oracle.is_done() && oracle.get().body() == ours.body && at == message.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 5) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const std::string_view text = input.substr(4);
  const BodyOf body_of = (bytes[0] & 1) != 0 ? BodyOf::request : BodyOf::response;
  const Outcome whole = decode(text, {}, body_of);
  const Outcome pieces = decode(text, input.substr(0, 4), body_of);
  require(whole.body == pieces.body && whole.trailers == pieces.trailers && whole.reason == pieces.reason);
  require(whole.finished == pieces.finished && whole.consumed == pieces.consumed);
  if (whole.finished) compare_with_beast(text.substr(0, whole.consumed), whole);
  return 0;
}
