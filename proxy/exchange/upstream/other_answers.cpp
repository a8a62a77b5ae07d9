#include <charconv>

#include <fmt/format.h>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/upstream_rewrites.hpp"

namespace gatehouse::exchange {

namespace {

// The path of an X-Accel-Redirect without its escapes; nothing if it is none, or leads up (nginx's ngx_http_parse_unsafe_uri).
std::optional<std::string_view> unescaped_path(Exchange& exchange, std::string_view text) {
  if (!text.starts_with('/')) return std::nullopt;
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      path.push_back(text[i]);
      continue;
    }
    unsigned byte = 0;
    const auto parsed = std::from_chars(text.data() + i + 1, text.data() + std::min(i + 3, text.size()), byte, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + i + 3) return std::nullopt;
    path.push_back(static_cast<char>(byte));
    i += 2;
  }
  if (path.find('\0') != std::string::npos) return std::nullopt;
  for (std::size_t at = path.find("/.."); at != std::string::npos; at = path.find("/..", at + 1)) {
    if (at + 3 == path.size() || path[at + 3] == '/') return std::nullopt;
  }
  return exchange.arena.copy(path);
}

}  // namespace

// The response is not for the client. What came along of its body costs nothing to read, and keeps the connection usable.
io::Task<void> UpstreamRun::drop_response(const http::ResponseSemantics& semantics) {
  cluster().on_success(*peer_);
  ex_.upstream_head.consume(parser_.head().size);
  if (pump_) {
    auto ending = end_request_body();
    co_await ending;
    ex_.body_dropped |= !request_sent_whole_;
  }
  UpstreamBody body(connection_->stream, ex_.thread.body_blocks, semantics.framing, ex_.upstream_head.unread(),
                    ex_.settings().proxy_read_timeout);
  const auto first = body.ready_piece();
  if (first) current().response_length = body.received();
  current().response_time = elapsed(try_began_);
  if (first && body.finished()) finish_connection(semantics, body);
}

// proxy_intercept_errors: error_page answers for the response's status.
io::Task<AttemptEnd> UpstreamRun::intercept(http::ResponseSemantics semantics) {
  auto dropping = drop_response(semantics);
  co_await dropping;
  const http::ResponseHead& head = parser_.head();
  if (ex_.cache) remember_failure(ex_, head.status);
  ex_.reply(head.status, Reason::none);
  const auto challenge = head.fields.value(http::FieldId::www_authenticate);
  if (head.status == 401 && challenge) {
    ex_.response.fields.add("WWW-Authenticate", *challenge, http::FieldId::www_authenticate);
  }
  co_return AttemptEnd{};
}

// X-Accel-Redirect: the origin says that another place of this server has the answer.
std::optional<std::string_view> UpstreamRun::accel_redirect() const {
  const auto to = parser_.head().fields.value(http::FieldId::x_accel_redirect);
  if (!to || to->empty()) return std::nullopt;
  const bool ignored = (config::transform_of(ex_.settings()).ignore_headers & config::ignore_x_accel_redirect) != 0;
  return ignored ? std::nullopt : to;
}

io::Task<AttemptEnd> UpstreamRun::leave_for(http::ResponseSemantics semantics, std::string_view uri) {
  const http::Fields& fields = parser_.head().fields;
  obey_accel_fields(ex_, fields);
  auto carried = std::make_unique<http::Fields>();
  for (const auto& field : fields) {
    switch (field.id) {
      case http::FieldId::content_type: ex_.accel_type = ex_.arena.copy(field.value); break;
      case http::FieldId::set_cookie:
        carried->add("Set-Cookie", ex_.arena.copy(rewritten_cookie(ex_, field.value)), field.id);
        break;
      case http::FieldId::content_disposition:
      case http::FieldId::cache_control:
      case http::FieldId::expires:
        carried->add(ex_.arena.copy(field.name), ex_.arena.copy(field.value), field.id);
        break;
      default: break;
    }
  }
  ex_.accel_charset = ex_.arena.copy(ex_.accel_charset);
  const std::string_view target = ex_.arena.copy(uri);
  auto dropping = drop_response(semantics);
  co_await dropping;
  ex_.carried = carried->empty() ? nullptr : std::move(carried);
  if (!ex_.is_head()) {
    ex_.method = http::Method::get;
    ex_.method_text = "GET";
  }
  if (target.starts_with('@')) {
    (void)redirect_to_named(ex_, target);
    co_return AttemptEnd{};
  }
  const std::size_t mark = std::min(target.find('?'), target.size());
  const auto path = unescaped_path(ex_, target.substr(0, mark));
  if (!path) {
    ex_.log(LogLevel::error, fmt::format("unsafe URI \"{}\" was detected", target));
    ex_.reply(404, Reason::file_not_found);
    co_return AttemptEnd{};
  }
  (void)redirect_internally(ex_, *path, target.substr(std::min(mark + 1, target.size())));
  co_return AttemptEnd{};
}

io::Task<AttemptEnd> UpstreamRun::tunnel() {
  cluster().on_success(*peer_);
  const http::ResponseHead& head = parser_.head();
  http::ResponseSemantics semantics;
  if (!adopt_upstream_head(ex_, head, semantics)) co_return AttemptEnd{};  // a 101 has no conditions to fail
  if (const auto upgrade = head.fields.value(http::FieldId::upgrade)) {
    ex_.response.fields.add("Upgrade", *upgrade, http::FieldId::upgrade);
  }
  ex_.upstream_head.consume(head.size);
  ex_.downstream.watch_client(nullptr);
  auto running = ex_.downstream.tunnel(ex_.response, connection_->stream, ex_.upstream_head.unread(),
                                       ex_.settings().proxy_read_timeout);
  const auto ended = co_await running;
  current().response_time = elapsed(try_began_);
  if (!ended && ended.error().reason != Reason::timed_out) ex_.reason = ended.error().reason;
  co_return AttemptEnd{};
}

}  // namespace gatehouse::exchange
