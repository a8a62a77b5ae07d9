#include "waf/recorded_transaction.hpp"

namespace gatehouse::waf {
namespace {

void append_printable(std::string& to, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '\\' && c != '"') {
      to += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    to.append("\\x").append(1, hex[byte >> 4U]).append(1, hex[byte & 15U]);
  }
}

void append_quoted(std::string& to, std::string_view text) {
  to += '"';
  append_printable(to, text);
  to += '"';
}

void append_headers(std::string& to, std::span<const HeaderView> headers) {
  for (const auto& header : headers) {
    to += ' ';
    append_quoted(to, std::string(header.name) + ": " + std::string(header.value));
  }
}

void append_body(std::string& to, std::string_view body, std::size_t longest) {
  to += " body ";
  append_quoted(to, body.substr(0, longest));
  if (body.size() > longest) to += " and " + std::to_string(body.size() - longest) + " bytes more";
}

}  // namespace

RecordedTransaction::RecordedTransaction(const RequestInput& request) : request_(request) {
  request_.client.text = keep(request.client.text);
  request_.server.text = keep(request.server.text);
  request_.method = keep(request.method);
  request_.uri = keep(request.uri);
  request_.version = keep(request.version);
  request_.unique_id = keep(request.unique_id);
  request_headers_ = keep_headers(request.headers);
  request_.headers = request_headers_;
  request_body_ = keep_body(request.body);
  request_.body = {{&request_body_, request_body_.empty() ? 0U : 1U}, {}, request.body.truncated};
}

void RecordedTransaction::set_response(const ResponseInput& response) {
  response_headers_ = keep_headers(response.headers);
  response_body_ = keep_body(response.body);
  ResponseInput copy = response;
  copy.protocol = keep(response.protocol);
  copy.headers = response_headers_;
  copy.body = {{&response_body_, response_body_.empty() ? 0U : 1U}, {}, response.body.truncated};
  response_ = copy;
}

std::string_view RecordedTransaction::keep(std::string_view text) {
  bytes_ += text.size();
  return texts_.emplace_back(text);
}

std::string_view RecordedTransaction::keep_body(const BodyView& body) {
  std::string whole;
  for (const auto segment : body.segments) whole.append(segment);
  bytes_ += whole.size();
  return texts_.emplace_back(std::move(whole));
}

std::vector<HeaderView> RecordedTransaction::keep_headers(std::span<const HeaderView> headers) {
  std::vector<HeaderView> kept;
  kept.reserve(headers.size());
  for (const auto& header : headers) kept.push_back({keep(header.name), keep(header.value)});
  return kept;
}

std::string RecordedTransaction::describe(std::size_t longest_body) const {
  std::string text = "client " + std::string(request_.client.text) + ":" + std::to_string(request_.client.port) +
                     ", server " + std::string(request_.server.text) + ":" + std::to_string(request_.server.port) +
                     ", request ";
  append_quoted(
      text, std::string(request_.method) + " " + std::string(request_.uri) + " HTTP/" + std::string(request_.version));
  append_headers(text, request_.headers);
  append_body(text, request_body_, longest_body);
  if (!response_) return text;
  text += ", response " + std::to_string(response_->status);
  append_headers(text, response_->headers);
  append_body(text, response_body_, longest_body);
  return text;
}

}  // namespace gatehouse::waf
