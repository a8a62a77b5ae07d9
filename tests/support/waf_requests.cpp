#include "tests/support/waf_requests.hpp"

#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace gatehouse::waf::test {
namespace {

// UTF-8 of code points up to U+00FF -> those bytes.
std::string to_bytes(const std::string& utf8) {
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80) {
      bytes.push_back(utf8[i]);
      continue;
    }
    if ((lead != 0xc2 && lead != 0xc3) || i + 1 == utf8.size()) throw std::runtime_error("a code point above U+00FF");
    bytes.push_back(static_cast<char>(((lead & 0x03) << 6) | (static_cast<unsigned char>(utf8[++i]) & 0x3f)));
  }
  return bytes;
}

WafRequest parse(const nlohmann::json& line) {
  WafRequest request;
  const auto text = [&](const char* key, std::string& into) {
    if (const auto found = line.find(key); found != line.end()) into = to_bytes(found->get<std::string>());
  };
  text("name", request.name);
  text("method", request.method);
  text("uri", request.uri);
  text("version", request.version);
  text("client", request.client);
  text("body", request.body);
  for (const auto& header : line.value("headers", nlohmann::json::array()))
    request.headers.emplace_back(to_bytes(header.at(0).get<std::string>()), to_bytes(header.at(1).get<std::string>()));
  for (const auto& [key, into] :
       {std::pair{"log_contains", &request.log_contains}, std::pair{"no_log_contains", &request.no_log_contains}})
    if (const auto found = line.find(key); found != line.end()) *into = found->get<std::string>();
  return request;
}

}  // namespace

RequestViews::RequestViews(const WafRequest& request) : uri_(request.uri), segment_(request.body) {
  // A target that the guard refuses never reaches the WAF in the proxy; a regression test wants to see what the engine
  // says.
  if (auto guarded = guard_request_target(request.uri)) uri_ = *guarded;
  for (const auto& [name, value] : request.headers) headers_.push_back({name, value});
  input_.client = {request.client, 40000};
  input_.server = {"127.0.0.1", 80};
  input_.method = request.method;
  input_.uri = uri_;
  input_.version = request.version;
  input_.headers = headers_;
  input_.body.segments = std::span(&segment_, 1);
}

std::vector<WafRequest> read_requests(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<WafRequest> requests;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) requests.push_back(parse(nlohmann::json::parse(line)));
  return requests;
}

std::vector<std::int64_t> ids(const Verdict& verdict) {
  std::vector<std::int64_t> found;
  for (const RuleMatch& match : verdict.matches) found.push_back(match.rule_id);
  return found;
}

std::string log_lines(const Verdict& verdict) {
  std::string lines;
  for (const RuleMatch& match : verdict.matches)
    if (!match.denied) lines += match.text + "\n";
  if (verdict.intervention) lines += verdict.intervention->log + "\n";
  return lines;
}

}  // namespace gatehouse::waf::test
