// The upstream response head parser: in two pieces as at once, and every interpretation keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/http/framing.hpp"
#include "proxy/http/response_parser.hpp"

namespace {

using namespace gatehouse;
using namespace gatehouse::http;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_meaning(const ResponseHead& head, Method method) {
  const Result<ResponseSemantics> meaning = interpret_response(head, method);
  if (!meaning) {
    require(meaning.error().reason == Reason::upstream_bad_framing);
    return;
  }
  require(!(meaning->tunnel && meaning->interim));
  if (meaning->framing.kind == BodyKind::until_close || meaning->tunnel) require(meaning->after == AfterMessage::close);
  if (method == Method::head || head.status < 200 || head.status == 204 || head.status == 304) {
    require(meaning->framing.kind == BodyKind::none);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  ResponseParser whole;
  const ParseStatus status = whole.parse(text);

  ResponseParser pieces;
  const std::string first = text.substr(0, bytes[0]);
  ParseStatus split = pieces.parse(first);
  if (split == ParseStatus::incomplete) split = pieces.parse(text);
  require(split == status && pieces.reason() == whole.reason());
  if (status != ParseStatus::complete) return 0;

  const ResponseHead& a = whole.head();
  const ResponseHead& b = pieces.head();
  require(a.size == b.size && a.status == b.status && a.reason == b.reason && a.fields.size() == b.fields.size());
  for (std::size_t i = 0; i < a.fields.size(); ++i) {
    require(a.fields[i].name == b.fields[i].name && a.fields[i].value == b.fields[i].value);
    require(a.fields[i].name.find_first_of("\r\n:") == std::string_view::npos);
    require(a.fields[i].value.find_first_of("\r\n") == std::string_view::npos);
  }
  check_meaning(a, Method::get);
  check_meaning(a, Method::head);
  return 0;
}
