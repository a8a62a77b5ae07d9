#include "waf/fastpath/request_values.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using Kind = VariableKind;
constexpr std::size_t npos = std::string_view::npos;

bool is_space(char c) { return steps::is_space(static_cast<unsigned char>(c)); }

bool equals_lower(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::ranges::equal(text, lower, [](char a, char b) {
           return steps::to_lower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
         });
}

bool starts_with_lower(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && equals_lower(text.substr(0, lower.size()), lower);
}

/// Calls `each` with every token as std::getline cuts them: an empty token after the last separator does not exist.
template <class Each>
void split(std::string_view text, char separator, Each each) {
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    each(text.substr(0, end));
    if (end == npos) return;
    text.remove_prefix(end + 1);
  }
}

/// The first token of such a split; "" of an empty text.
std::string_view first_token(std::string_view text, char separator) { return text.substr(0, text.find(separator)); }

/// REQUEST_URI: the decoded target, or what follows the authority of an absolute one.
std::string_view without_authority(std::string_view decoded) {
  if (decoded.empty() || decoded.front() == '/') return decoded;
  const std::size_t colon = decoded.find(':');
  const std::size_t after_scheme = colon == npos ? 0 : colon + 1;
  if (decoded.find("//", after_scheme) != after_scheme) return decoded;
  const std::size_t path = decoded.find('/', after_scheme + 2);
  return path == npos ? decoded : decoded.substr(path);
}

}  // namespace

std::optional<std::string_view> whole_body(const BodyView& body, Scratch& scratch) {
  if (body.truncated || !body.spill_path.empty()) return std::nullopt;
  if (body.segments.empty()) return std::string_view();
  if (body.segments.size() == 1) return body.segments.front();
  std::size_t size = 0;
  for (const std::string_view segment : body.segments) size += segment.size();
  unsigned char* out = scratch.reserve(size);
  for (const std::string_view segment : body.segments) {
    if (!segment.empty()) std::memcpy(out, segment.data(), segment.size());
    out += segment.size();
  }
  return scratch.commit(size);
}

std::string_view RequestValues::number(std::uint64_t value) {
  char* text = reinterpret_cast<char*>(scratch_->reserve(20));
  return scratch_->commit(static_cast<std::size_t>(std::to_chars(text, text + 20, value).ptr - text));
}

std::string_view RequestValues::join(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  unsigned char* out = scratch_->reserve(size);
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(out, part.data(), part.size());
    out += part.size();
  }
  return scratch_->commit(size);
}

ParseOutcome RequestValues::parse_head(const RequestInput& input, const ParserSettings& settings) {
  settings_ = settings;
  scalars_.fill({});
  headers_.clear();
  cookies_.clear();
  arguments_.clear();
  get_arguments_ = post_arguments_ = 0;
  combined_size_ = header_text_size_ = 0;
  by_type_ = by_rule_ = BodyParser::none;
  dropped_ = false;
  multipart_.clear();
  for (const std::string_view text : {input.uri, input.method, input.version}) {
    if (text.find('\0') != npos) return ParseOutcome::unmodelled;
  }
  set(Kind::url_encoded_error, "0");
  set(Kind::remote_addr, input.client.text);
  set(Kind::remote_host, input.client.text);
  set(Kind::remote_port, number(input.client.port));
  set(Kind::server_addr, input.server.text);
  set(Kind::server_port, number(input.server.port));
  parse_target(input.method, input.uri, input.version);
  for (const HeaderView& header : input.headers) parse_header(header);
  return ParseOutcome::parsed;
}

void RequestValues::parse_target(std::string_view method, std::string_view target, std::string_view version) {
  set(Kind::request_method, method);
  set(Kind::request_uri_raw, target);
  const std::string_view line = join({method, " ", target, " HTTP/", version});
  set(Kind::request_line, line);
  set(Kind::request_protocol, line.substr(method.size() + target.size() + 2));

  const std::string_view before_fragment = target.substr(0, target.find('#'));
  std::string_view decoded = before_fragment;
  if (before_fragment.find('%') != npos) {
    // The same decoding as of arguments, but a plus sign is one.
    unsigned char* out = scratch_->reserve(before_fragment.size());
    std::size_t length = 0;
    const steps::Input in(before_fragment);
    for (std::size_t i = 0; i < in.size;) {
      const bool escape =
          in.bytes[i] == '%' && i + 2 < in.size && steps::is_hex(in.bytes[i + 1]) && steps::is_hex(in.bytes[i + 2]);
      out[length++] = escape ? steps::hex_pair(in.bytes[i + 1], in.bytes[i + 2]) : in.bytes[i];
      i += escape ? 3 : 1;
    }
    decoded = scratch_->commit(length);
  }
  const std::string_view path = decoded.substr(0, decoded.find('?'));
  set(Kind::path_info, path);
  set(Kind::request_filename, path);
  const std::size_t slash = path.find_last_of("/\\");
  if (slash != npos) set(Kind::request_basename, path.substr(slash + 1));
  set(Kind::request_uri, without_authority(decoded));

  const std::size_t question = before_fragment.find('?');
  if (question == npos) return;
  const std::string_view query = before_fragment.substr(question + 1);
  set(Kind::query_string, query);
  parse_arguments(query);
  get_arguments_ = arguments_.size();
}

std::string_view RequestValues::decode(std::string_view text) {
  const auto special = [](char c) { return c == '%' || c == '+'; };
  if (std::ranges::none_of(text, special)) return text;
  for (std::size_t at = text.find('%'); at != npos; at = text.find('%', at + 1)) {
    const steps::Input in(text);
    if (!steps::is_hex(in[at + 1]) || !steps::is_hex(in[at + 2])) set(Kind::url_encoded_error, "1");
  }
  return scratch_->commit(steps::url_decode(steps::Input(text), scratch_->reserve(text.size())));
}

void RequestValues::parse_arguments(std::string_view text) {
  split(text, settings_.argument_separator, [&](std::string_view pair) {
    const std::size_t equals = pair.find('=');
    const std::string_view name = decode(pair.substr(0, equals));
    add_argument(name, equals == npos ? std::string_view() : decode(pair.substr(equals + 1)));
  });
  finish_arguments();
}

bool RequestValues::add_argument(std::string_view name, std::string_view value) {
  if (settings_.arguments_limit && arguments_.size() >= *settings_.arguments_limit) {
    dropped_ = true;
    return false;
  }
  arguments_.push_back({name, value});
  combined_size_ += name.size() + value.size();
  return true;
}

// The library adds the sizes up in a double and prints it as one.
void RequestValues::finish_arguments() {
  if (!arguments_.empty()) set(Kind::args_combined_size, join({number(combined_size_), ".000000"}));
}

void RequestValues::parse_header(const HeaderView& header) {
  headers_.push_back({header.name, header.value});
  header_text_size_ += header.name.size() + header.value.size() + 3;
  if (equals_lower(header.name, "cookie")) {
    parse_cookies(header.value);
  } else if (equals_lower(header.name, "content-type")) {
    if (starts_with_lower(header.value, "multipart/form-data")) {
      by_type_ = BodyParser::multipart;
      set(Kind::reqbody_processor, "MULTIPART");
    } else if (starts_with_lower(header.value, "application/x-www-form-urlencoded")) {
      by_type_ = BodyParser::urlencoded;
      set(Kind::reqbody_processor, "URLENCODED");
    }
  } else if (equals_lower(header.name, "host")) {
    set(Kind::server_name, first_token(header.value, ':'));
  } else if (equals_lower(header.name, "authorization")) {
    set(Kind::auth_type, first_token(header.value, ' '));
  }
}

void RequestValues::parse_cookies(std::string_view value) {
  // Only the last pair loses the white space behind it; a separator at the very end leaves no pair after it.
  if (value.ends_with(';')) {
    value.remove_suffix(1);
    if (value.empty()) return;
  }
  const std::size_t last = value.rfind(';');
  const std::size_t floor = last == npos ? 0 : last + 1;
  while (value.size() > floor && is_space(value.back())) value.remove_suffix(1);
  split(value, ';', [&](std::string_view pair) { parse_cookie(pair); });
}

void RequestValues::parse_cookie(std::string_view pair) {
  const std::size_t equals = pair.find('=');
  std::string_view name = pair.substr(0, equals);
  while (!name.empty() && is_space(name.front())) name.remove_prefix(1);
  if (name.empty()) return;
  cookies_.push_back({name, equals == npos ? std::string_view() : pair.substr(equals + 1)});
}

void RequestValues::choose_body_parser(BodyParser parser) {
  switch (parser) {
    case BodyParser::json:
      by_rule_ = parser;
      set(Kind::reqbody_processor, "JSON");
      return;
    case BodyParser::xml:
      by_rule_ = parser;
      set(Kind::reqbody_processor, "XML");
      return;
    case BodyParser::urlencoded:
      by_type_ = parser;
      set(Kind::reqbody_processor, "URLENCODED");
      return;
    case BodyParser::none:
    case BodyParser::multipart: return;  // no ctl chooses these
  }
}

BodyParser RequestValues::body_parser() const noexcept { return by_rule_ != BodyParser::none ? by_rule_ : by_type_; }

ParseOutcome RequestValues::parse_body(std::string_view body) {
  const BodyParser parser = body_parser();
  if (parser == BodyParser::xml) return ParseOutcome::unmodelled;
  const bool limited = parser == BodyParser::json || by_type_ == BodyParser::urlencoded;
  if (limited && settings_.body_no_files_limit && body.size() > *settings_.body_no_files_limit) {
    return ParseOutcome::unmodelled;
  }
  set(Kind::inbound_data_error, "0");
  if (parser == BodyParser::urlencoded) {
    parse_arguments(body);
    post_arguments_ = arguments_.size() - get_arguments_;
  } else {
    set(Kind::reqbody_error, "0");
    set(Kind::reqbody_processor_error, "0");
    ParseOutcome outcome = ParseOutcome::parsed;
    if (parser == BodyParser::json) outcome = parse_json(body);
    if (parser == BodyParser::multipart) outcome = parse_multipart(body);
    if (outcome != ParseOutcome::parsed) return outcome;
  }
  set(Kind::full_request_length, number(header_text_size_ + 2 + body.size()));
  if (!body.empty()) {
    set(Kind::request_body, body);
    set(Kind::request_body_length, number(body.size()));
  }
  return ParseOutcome::parsed;
}

ParseOutcome RequestValues::parse_multipart(std::string_view body) {
  const auto is_type = [](const Member& header) { return equals_lower(header.name, "content-type"); };
  // Of several the library takes the one its hash table gives first.
  if (settings_.uploads == Uploads::stored || std::ranges::count_if(headers_, is_type) != 1) {
    return ParseOutcome::unmodelled;
  }
  if (!multipart_.parse(std::ranges::find_if(headers_, is_type)->value, body, *scratch_))
    return ParseOutcome::unmodelled;
  if (settings_.body_no_files_limit && body.size() - multipart_.files_size() > *settings_.body_no_files_limit) {
    return ParseOutcome::unmodelled;
  }
  for (const Kind flag :
       {Kind::multipart_data_before, Kind::multipart_data_after, Kind::multipart_boundary_quoted,
        Kind::multipart_boundary_whitespace, Kind::multipart_header_folding, Kind::multipart_lf_line,
        Kind::multipart_crlf_lf_lines, Kind::multipart_missing_semicolon, Kind::multipart_invalid_quoting,
        Kind::multipart_invalid_part, Kind::multipart_invalid_header_folding, Kind::multipart_strict_error}) {
    set(flag, "0");
  }
  set(Kind::multipart_unmatched_boundary, multipart_.unmatched_boundary());
  if (multipart_.has_files()) set(Kind::files_combined_size, number(multipart_.files_size()));
  // These are neither counted against the limit of arguments nor into their combined size.
  const std::span<const Member> fields = multipart_.arguments();
  arguments_.insert(arguments_.end(), fields.begin(), fields.end());
  post_arguments_ = fields.size();
  return ParseOutcome::parsed;
}

ParseOutcome RequestValues::parse_json(std::string_view body) {
  const std::size_t first = arguments_.size();
  const std::size_t limit = settings_.arguments_limit.value_or(SIZE_MAX);
  if (!json_.parse(body, settings_.json_depth_limit, limit, arguments_)) return ParseOutcome::unmodelled;
  for (std::size_t i = first; i < arguments_.size(); ++i) {
    combined_size_ += arguments_[i].name.size() + arguments_[i].value.size();
  }
  finish_arguments();
  return ParseOutcome::parsed;
}

bool RequestValues::models(VariableKind kind) noexcept {
  switch (kind) {
    case Kind::args:
    case Kind::args_names:
    case Kind::args_get:
    case Kind::args_get_names:
    case Kind::args_post:
    case Kind::args_post_names:
    case Kind::args_combined_size:
    case Kind::auth_type:
    case Kind::files:
    case Kind::files_combined_size:
    case Kind::files_names:
    case Kind::files_sizes:
    case Kind::files_tmp_content:
    case Kind::files_tmp_names:
    case Kind::full_request_length:
    case Kind::inbound_data_error:
    case Kind::multipart_boundary_quoted:
    case Kind::multipart_boundary_whitespace:
    case Kind::multipart_crlf_lf_lines:
    case Kind::multipart_data_after:
    case Kind::multipart_data_before:
    case Kind::multipart_file_limit_exceeded:
    case Kind::multipart_filename:
    case Kind::multipart_header_folding:
    case Kind::multipart_invalid_header_folding:
    case Kind::multipart_invalid_part:
    case Kind::multipart_invalid_quoting:
    case Kind::multipart_lf_line:
    case Kind::multipart_missing_semicolon:
    case Kind::multipart_name:
    case Kind::multipart_part_headers:
    case Kind::multipart_strict_error:
    case Kind::multipart_unmatched_boundary:
    case Kind::path_info:
    case Kind::query_string:
    case Kind::remote_addr:
    case Kind::remote_host:
    case Kind::remote_port:
    case Kind::reqbody_error:
    case Kind::reqbody_error_msg:
    case Kind::reqbody_processor:
    case Kind::reqbody_processor_error:
    case Kind::reqbody_processor_error_msg:
    case Kind::request_basename:
    case Kind::request_body:
    case Kind::request_body_length:
    case Kind::request_cookies:
    case Kind::request_cookies_names:
    case Kind::request_filename:
    case Kind::request_headers:
    case Kind::request_headers_names:
    case Kind::request_line:
    case Kind::request_method:
    case Kind::request_protocol:
    case Kind::request_uri:
    case Kind::request_uri_raw:
    case Kind::server_addr:
    case Kind::server_name:
    case Kind::server_port:
    case Kind::url_encoded_error: return true;
    default: return false;
  }
}

std::span<const Member> RequestValues::members(VariableKind kind) const noexcept {
  switch (kind) {
    case Kind::args:
    case Kind::args_names: return arguments(ArgumentPart::all);
    case Kind::args_get:
    case Kind::args_get_names: return arguments(ArgumentPart::query);
    case Kind::args_post:
    case Kind::args_post_names: return arguments(ArgumentPart::body);
    case Kind::request_cookies:
    case Kind::request_cookies_names: return cookies_;
    case Kind::request_headers:
    case Kind::request_headers_names: return headers_;
    default: return multipart_.members(kind);
  }
}

std::span<const Member> RequestValues::arguments(ArgumentPart part) const noexcept {
  const std::span<const Member> all = arguments_;
  switch (part) {
    case ArgumentPart::all: return all;
    case ArgumentPart::query: return all.first(get_arguments_);
    case ArgumentPart::body: return all.subspan(get_arguments_, post_arguments_);
    case ArgumentPart::other: return all.subspan(get_arguments_ + post_arguments_);
  }
  return all;
}

std::string_view RequestValues::value_of(VariableKind kind, const Member& member) noexcept {
  switch (kind) {
    case Kind::args_names:
    case Kind::args_get_names:
    case Kind::args_post_names:
    case Kind::request_cookies_names:
    case Kind::request_headers_names: return member.name;
    default: return member.value;
  }
}

}  // namespace gatehouse::waf::fastpath
