// The request head parser against Boost.Beast: what ours accepts, Beast must read the same way. Also: a head that comes
// in two pieces in two buffers must be read as one that comes at once, and a request found valid keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "proxy/http/chars.hpp"
#include "proxy/http/request_parser.hpp"
#include "proxy/http/semantics.hpp"

namespace {

namespace beast_http = boost::beast::http;
using namespace gatehouse;
using namespace gatehouse::http;

void require(bool holds) {
  if (!holds) std::abort();
}

// Framing is not compared: Beast judges lengths while it parses, ours in validate_request. So the fields that frame are
// compared only for messages that our framing accepts.
void compare_with_beast(std::string_view text, const RequestHead& head) {
  if (!frame_request(head)) return;
  beast_http::request_parser<beast_http::empty_body> oracle;
  oracle.header_limit(1U << 20);
  oracle.body_limit(boost::none);
  boost::beast::error_code ec;
  // Beast has no leniency for a leading CRLF, and reads only HTTP/1.0 and 1.1.
  if (text.starts_with("\r\n")) text.remove_prefix(2);
  if (!head.line.ends_with("HTTP/1.1") && !head.line.ends_with("HTTP/1.0")) return;
  // Beast refuses a Connection that is no list of tokens; here its odd elements are ignored, as in nginx: the field is
  // never forwarded.
  for (const Field& field : head.fields) {
    if (field.id != FieldId::connection && field.id != FieldId::proxy_connection) continue;
    if (!for_each_element(field.value, [](std::string_view e) { return e.empty() || is_token(e); })) return;
  }
  oracle.put(boost::asio::buffer(text.data(), text.size()), ec);
  if (ec && !oracle.is_header_done()) std::abort();

  const auto& message = oracle.get();
  require(std::string_view(message.method_string().data(), message.method_string().size()) == head.method_text);
  require(std::string_view(message.target().data(), message.target().size()) == head.target);
  require((message.version() == 10) == (head.version == Version::http10));
  // Beast groups equal names; within one name the order is the sender's, so names are compared one by one.
  std::size_t fields = 0;
  for (const auto& field : message) {
    ++fields;
    (void)field;
  }
  require(fields == head.fields.size());
  for (const Field& ours : head.fields) {
    const auto range = message.equal_range({ours.name.data(), ours.name.size()});
    std::vector<std::string_view> theirs;
    for (auto i = range.first; i != range.second; ++i) theirs.emplace_back(i->value().data(), i->value().size());
    std::size_t at = 0;
    for (const Field& same : head.fields) {
      if (!iequals(same.name, ours.name)) continue;
      require(at < theirs.size() && theirs[at] == same.value);
      ++at;
    }
    require(at == theirs.size());
  }
}

void compare_heads(const RequestHead& a, const RequestHead& b) {
  require(a.method_text == b.method_text && a.target == b.target && a.version == b.version && a.size == b.size);
  require(a.line == b.line && a.dropped == b.dropped && a.dropped_name == b.dropped_name);
  require(a.fields.size() == b.fields.size());
  for (std::size_t i = 0; i < a.fields.size(); ++i) {
    require(a.fields[i].name == b.fields[i].name && a.fields[i].value == b.fields[i].value);
    require(a.fields[i].id == b.fields[i].id && field_id(a.fields[i].name) == a.fields[i].id);
  }
}

void check_meaning(const RequestHead& head) {
  const Result<RequestSemantics> meaning = validate_request(head);
  if (!meaning) {
    require(row(meaning.error().reason).status >= 400);
    return;
  }
  require(meaning->framing.kind != BodyKind::until_close);
  require((meaning->framing.kind == BodyKind::length) == (meaning->framing.length != 0));
  require(meaning->path.starts_with('/') || meaning->path == "*");
  require(meaning->path_and_query.size() ==
          meaning->path.size() + (meaning->has_query ? 1 + meaning->query.size() : 0));
  require(head.version == Version::http10 || !meaning->authority.host.empty());
  require(!head.fields.contains(FieldId::content_length) || !head.fields.contains(FieldId::transfer_encoding));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  ParseLimits limits;
  limits.names = NamePolicy::keep;  // Beast drops nothing
  limits.fields = 100;
  RequestParser whole(limits);
  const ParseStatus status = whole.parse(text);

  RequestParser pieces(limits);
  const std::string first = text.substr(0, bytes[0]);
  ParseStatus split = pieces.parse(first);
  if (split == ParseStatus::incomplete) split = pieces.parse(text);
  if (split == ParseStatus::complete && pieces.head().size > first.size()) {
    require(status == ParseStatus::complete);
    compare_heads(whole.head(), pieces.head());
  }
  require(split == status);
  if (split == ParseStatus::failed) require(pieces.reason() == whole.reason());

  if (status == ParseStatus::complete) {
    check_meaning(whole.head());
    compare_with_beast(std::string_view(text).substr(0, whole.head().size), whole.head());
  }
  return 0;
}
