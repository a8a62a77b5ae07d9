#include "waf_mutator.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::waf::test {
namespace {

const std::vector<std::string> kFragments{std::string(1, '\x0b'),
                                          "\xa0",
                                          "%00",
                                          std::string("\x85", 1),
                                          "%u0027",
                                          "%c0%af",
                                          "%2527",
                                          "%",
                                          "\n",
                                          "\r\n",
                                          ";",
                                          "'",
                                          "\"",
                                          "<",
                                          ">",
                                          "(",
                                          ")",
                                          "--",
                                          "/*",
                                          "*/",
                                          "%0a",
                                          "%0d%0a",
                                          "..",
                                          "/../",
                                          "\\",
                                          "\\u0041",
                                          "&amp;",
                                          "&#x41;",
                                          "+",
                                          "%20",
                                          "union select",
                                          "<script",
                                          "onload=",
                                          "; ls",
                                          "|cat",
                                          "${",
                                          "{{",
                                          "eval(",
                                          "=",
                                          "&",
                                          "&&",
                                          "1 or 1=1",
                                          "%e2%80%99",
                                          "\xc3\xa9",
                                          "base64_decode",
                                          "php://",
                                          "http://",
                                          "file",
                                          ".php",
                                          "sleep(1)",
                                          " ",
                                          "  ",
                                          "\t",
                                          "a",
                                          "Z",
                                          "0",
                                          "%25",
                                          "$(",
                                          "`",
                                          "@",
                                          "#"};

const std::vector<std::pair<std::string, std::string>> kExtraHeaders{
    {"Content-Type", "application/json"},
    {"Content-Type", "text/xml"},
    {"Content-Type", "application/x-www-form-urlencoded"},
    {"Content-Type", "multipart/form-data; boundary=x"},
    {"Range", "bytes=5-1"},
    {"Transfer-Encoding", "chunked"},
    {"X-Forwarded-For", "127.0.0.1"},
    {"Content-Encoding", "gzip"},
    {"Accept", ""},
    {"Cookie", "a=b;;c; =d"},
    {"Cookie", "$Version=1; x=\"y\""},
    {"Content-Length", "0"},
    {"Proxy", "x"},
    {"X-Filename", "a.php"}};

constexpr std::array<std::string_view, 6> kMethods{"GET", "POST", "HEAD", "PUT", "OPTIONS", "get"};
constexpr std::array<std::string_view, 3> kVersions{"1.0", "1.1", "2.0"};
// Around SecArgumentsLimit, and around the lengths that CRS' tests and the automata care about.
constexpr std::array<std::size_t, 3> kArgumentCounts{999, 1000, 1001};
constexpr std::array<std::size_t, 4> kLengths{100, 400, 4096, 8192};

void clean_target(std::string& uri) {
  std::erase_if(uri, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '#'; });
  if (uri.empty() || uri.front() != '/') uri.insert(0, "/");
}

// Where arguments are: the body of a form, or else the query.
void append_argument(WafRequest& request, const std::string& argument) {
  const bool form = std::any_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
    return header.second.starts_with("application/x-www-form-urlencoded");
  });
  if (form) {
    request.body += "&" + argument;
    return;
  }
  request.uri += (request.uri.find('?') == std::string::npos ? "?" : "&") + argument;
}

}  // namespace

std::uint32_t Mutator::below(std::size_t limit) {
  return static_cast<std::uint32_t>(random_() % std::max<std::size_t>(1, limit));
}

WafRequest Mutator::mutate(WafRequest request) {
  const auto steps = 1 + below(3);
  for (std::uint32_t i = 0; i < steps; ++i) step(request);
  return request;
}

void Mutator::splice(std::string& text) {
  const auto& fragment = kFragments[below(kFragments.size())];
  const auto at = below(text.size() + 1);
  switch (below(5)) {
    case 0: text.insert(at, fragment); break;
    case 1: text.insert(at, fragment + kFragments[below(kFragments.size())]); break;
    case 2:
      if (!text.empty()) text.erase(below(text.size()), 1 + below(4));
      break;
    case 3:
      if (!text.empty()) text[below(text.size())] = static_cast<char>(random_() % 256);
      break;
    default: text += fragment;
  }
}

void Mutator::change_headers(WafRequest& request) {
  auto& headers = request.headers;
  switch (headers.empty() ? 4U : below(5)) {
    case 0:
    case 1: {
      auto& value = headers[below(headers.size())].second;
      splice(value);
      std::erase_if(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
      break;
    }
    case 2: {
      auto again = headers[below(headers.size())];
      headers.push_back(std::move(again));
      break;
    }
    case 3: headers.erase(headers.begin() + below(headers.size())); break;
    default: headers.push_back(kExtraHeaders[below(kExtraHeaders.size())]);
  }
}

void Mutator::change_arguments(WafRequest& request) {
  switch (below(8)) {
    case 0: append_argument(request, "=" + std::to_string(below(100))); break;
    case 1: append_argument(request, "id"); break;
    case 2: append_argument(request, "id=1&id=2"); break;
    case 3:
      append_argument(request, "text=" + std::string(kLengths[below(kLengths.size())] + below(3) - 1, 'a'));
      break;
    case 4: append_argument(request, std::string(kLengths[below(2)] + below(3) - 1, 'n') + "=1"); break;
    case 5: request.method = kMethods[below(kMethods.size())]; break;
    case 6: request.version = kVersions[below(kVersions.size())]; break;
    default: {
      // So many are costly: rarely.
      if (below(10) != 0) return append_argument(request, "a[]=1&a[]=2&b.c=3");
      std::string many = "a0=1";
      const auto count = kArgumentCounts[below(kArgumentCounts.size())];
      for (std::size_t i = 1; i < count; ++i) many += "&a" + std::to_string(i) + "=1";
      append_argument(request, many);
    }
  }
}

void Mutator::step(WafRequest& request) {
  switch (below(11)) {
    case 0:
    case 1:
    case 2:
      splice(request.uri);
      clean_target(request.uri);
      break;
    case 3:
    case 4: splice(request.body); break;
    case 5: change_arguments(request); break;
    default: change_headers(request);
  }
}

}  // namespace gatehouse::waf::test
