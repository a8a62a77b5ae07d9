#include "proxy/http/semantics.hpp"

#include <array>
#include <cstring>

#include <arpa/inet.h>

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t kMaxHost = 255;  // RFC 1035 section 2.3.4

bool is_ipv6(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.empty() || text.size() >= terminated.size()) return false;
  std::memcpy(terminated.data(), text.data(), text.size());
  in6_addr address{};
  return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

// Length of a host name without empty labels at the start of the text (up to ':' or the end); 0 if there is none.
std::size_t name_length(std::string_view text) noexcept {
  bool label_empty = true;
  std::size_t i = 0;
  for (; i < text.size() && text[i] != ':'; ++i) {
    if (!is(text[i], kRegName)) return 0;
    if (text[i] == '.' && label_empty) return 0;
    label_empty = text[i] == '.';
  }
  return i;
}

bool parse_port(std::string_view text, std::uint16_t& port) noexcept {
  if (text.size() > 5) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  port = static_cast<std::uint16_t>(value);
  return text.empty() || (value >= 1 && value <= 65535);
}

void take_path(std::string_view path_and_query, RequestSemantics& meaning) noexcept {
  meaning.path_and_query = path_and_query;
  const std::size_t mark = path_and_query.find('?');
  meaning.has_query = mark != path_and_query.npos;
  meaning.path = path_and_query.substr(0, mark);
  if (meaning.has_query) meaning.query = path_and_query.substr(mark + 1);
}

// Host (RFC 9112 section 3.2): one valid line in HTTP/1.1, at most one in HTTP/1.0.
Reason take_host(const RequestHead& head, RequestSemantics& meaning) noexcept {
  const std::size_t hosts = head.fields.count(FieldId::host);
  if (hosts == 0) return head.version == Version::http10 ? Reason::none : Reason::bad_host;
  if (hosts > 1) return Reason::bad_host;
  const Result<Authority> authority = parse_authority(head.fields.find(FieldId::host)->value);
  if (!authority) return authority.error().reason;
  meaning.authority = *authority;
  return Reason::none;
}

// http://host/path: its authority replaces Host (RFC 9112 section 3.2.2). A query directly behind the authority has no
// path that could be pointed to, and no client sends it: refused.
Reason take_absolute_form(std::string_view target, RequestSemantics& meaning) noexcept {
  const std::size_t colon = target.find("://");
  if (colon == target.npos) return Reason::bad_target;
  const std::string_view scheme = target.substr(0, colon);
  if (!iequals(scheme, "http") && !iequals(scheme, "https")) return Reason::bad_target;
  const std::string_view rest = target.substr(colon + 3);
  const std::size_t slash = rest.find('/');
  const Result<Authority> authority = parse_authority(rest.substr(0, slash));
  if (!authority) return Reason::bad_target;
  meaning.authority = *authority;
  meaning.form = TargetForm::absolute;
  take_path(slash == rest.npos ? std::string_view("/") : rest.substr(slash), meaning);
  return Reason::none;
}

Reason take_target(const RequestHead& head, RequestSemantics& meaning) noexcept {
  if (head.method == Method::connect || head.method == Method::trace) return Reason::method_not_allowed;
  if (head.target.front() == '/') {
    take_path(head.target, meaning);
    return Reason::none;
  }
  if (head.target == "*") {
    if (head.method != Method::options) return Reason::bad_target;
    meaning.form = TargetForm::asterisk;
    meaning.path_and_query = meaning.path = head.target;
    return Reason::none;
  }
  return take_absolute_form(head.target, meaning);
}

// What Connection and Upgrade ask for.
Reason take_connection(const RequestHead& head, RequestSemantics& meaning) noexcept {
  const ConnectionOptions options = read_connection(head.fields);
  if (options.names_protected) return Reason::bad_connection_option;
  meaning.names_fields = options.names_fields;
  meaning.after = after_message(head.version, options);

  const Field* protocol = head.fields.find(FieldId::upgrade);
  if (!options.upgrade || protocol == nullptr || head.version == Version::http10) return Reason::none;
  if (head.fields.count(FieldId::upgrade) > 1) return Reason::none;
  const bool h2c = !for_each_element(protocol->value, [](std::string_view name) { return !iequals(name, "h2c"); });
  if (h2c || protocol->value.empty()) return Reason::none;
  meaning.upgrade = iequals(protocol->value, "websocket") ? Upgrade::websocket : Upgrade::other;
  meaning.upgrade_protocol = protocol->value;
  return Reason::none;
}

// RFC 9110 section 10.1.1: HTTP/1.0 expectations are ignored; a request without a body waits for nothing.
Reason take_expectation(const RequestHead& head, RequestSemantics& meaning) noexcept {
  if (!head.fields.contains(FieldId::expect) || head.version == Version::http10) return Reason::none;
  for (const Field& field : head.fields) {
    if (field.id == FieldId::expect && !iequals(field.value, "100-continue")) return Reason::bad_expectation;
  }
  meaning.expect_continue = meaning.framing.kind != BodyKind::none;
  return Reason::none;
}

}  // namespace

Result<Authority> parse_authority(std::string_view text) noexcept {
  if (text.empty()) return Error{Reason::bad_host};
  std::size_t host_end = 0;
  if (text.front() == '[') {
    host_end = text.find(']');
    if (host_end == text.npos || !is_ipv6(text.substr(1, host_end - 1))) return Error{Reason::bad_host};
    ++host_end;
  } else {
    host_end = name_length(text);
  }
  Authority authority{text, text.substr(0, host_end), 0};
  if (host_end == 0 || host_end > kMaxHost) return Error{Reason::bad_host};
  if (authority.host.back() == '.') authority.host.remove_suffix(1);
  const std::string_view port = text.substr(host_end);
  if (!port.empty() && (port.front() != ':' || !parse_port(port.substr(1), authority.port))) {
    return Error{Reason::bad_host};
  }
  return authority;
}

Result<RequestSemantics> validate_request(const RequestHead& head) noexcept {
  RequestSemantics meaning;
  const Result<BodyFraming> framing = frame_request(head);
  if (!framing) return framing.error();
  meaning.framing = *framing;
  for (const auto step : {&take_host, &take_target, &take_connection, &take_expectation}) {
    const Reason reason = step(head, meaning);
    if (reason != Reason::none) return Error{reason};
  }
  return meaning;
}

}  // namespace gatehouse::http
