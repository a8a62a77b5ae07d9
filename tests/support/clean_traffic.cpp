#include "clean_traffic.hpp"

#include <string_view>

namespace gatehouse::waf::test {
namespace {

const std::vector<std::string> word_list{
    "order",  "shipping", "blue",   "jacket", "winter", "size",    "large",   "green",   "tea",
    "coffee", "london",   "berlin", "garden", "table",  "chair",   "lamp",    "report",  "invoice",
    "march",  "monthly",  "budget", "review", "thanks", "please",  "meeting", "tuesday", "morning",
    "office", "street",   "house",  "family", "photo",  "holiday", "recipes", "chicken", "bicycle",
    "guitar", "lessons",  "piano",  "ticket", "train",  "station", "hotel",   "room"};
const std::vector<std::string> unicode_words{"Müller", "Zoë",  "naïve",  "façade", "Köln",
                                             "Łódź",   "東京", "привет", "año"};
const std::vector<std::string> names{"q",     "page",  "sort",     "lang",    "category", "id",        "utm_source",
                                     "ref",   "view",  "filter",   "size",    "color",    "from",      "to",
                                     "limit", "token", "redirect", "comment", "title",    "firstname", "city"};
const std::vector<std::string> agents{
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Mobile/15E148 Safari/604.1"};
const std::vector<std::string> languages{"en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9"};
const std::vector<std::string> prose{"I don't think so", "Rock & Roll", "5 < 6",
                                     "the \"best\" one", "R&D team",    "it's ok"};

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

[[nodiscard]] std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string percent_encode(const std::string& text, bool plus_for_blank) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = alphabet.find(c) != std::string_view::npos || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else if (c == ' ' && plus_for_blank) {
      encoded += '+';
    } else {
      encoded += '%';
      encoded += hex[byte >> 4U];
      encoded += hex[byte & 15U];
    }
  }
  return encoded;
}

std::string CleanTraffic::digits(std::size_t count) {
  std::string text;
  while (text.size() < count) text += static_cast<char>('0' + below(10));
  return text;
}

std::string CleanTraffic::token(std::size_t count) {
  std::string text;
  while (text.size() < count) text += alphabet[below(static_cast<std::uint32_t>(alphabet.size()))];
  return text;
}

std::string CleanTraffic::words(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += below(12) == 0 ? pick(unicode_words) : pick(word_list);
  }
  return text;
}

std::string CleanTraffic::value() {
  switch (below(12)) {
    case 0: return digits(1 + below(8));
    case 1: return token(10 + below(20));
    case 2: return "2024-0" + std::to_string(1 + below(9)) + "-1" + digits(1);
    case 3: return pick(word_list) + "@example.com";
    case 4: return pick(word_list) + "-" + pick(word_list) + "-" + digits(3);
    case 5: return below(8) == 0 ? pick(prose) : words(2);
    case 6: return "+49 30 " + digits(7);
    case 7: return digits(2) + "." + digits(2);
    case 8: return below(2) == 0 ? "true" : "false";
    default: return words(1 + below(6));
  }
}

std::string CleanTraffic::cookies() {
  std::string text = "_ga=GA1.2." + digits(9) + "." + digits(10) + "; _gid=GA1.2." + digits(9) + "." + digits(10);
  if (below(2) == 0) text += "; sessionid=" + token(32);
  if (below(3) == 0) text += "; theme=dark; lang=en";
  if (below(4) == 0) text += "; _fbp=fb.1." + digits(13) + "." + digits(9);
  if (below(5) == 0) text += "; auth=eyJ" + token(33) + ".eyJ" + token(60) + "." + token(43);
  return text;
}

std::string CleanTraffic::path() {
  static const std::vector<std::string> paths{"/",
                                              "/index.html",
                                              "/products",
                                              "/products/list",
                                              "/search",
                                              "/account",
                                              "/blog/2024",
                                              "/api/v1/items",
                                              "/static/app.js",
                                              "/cart",
                                              "/images/logo.png",
                                              "/about-us",
                                              "/news/latest",
                                              "/api/v2/users"};
  auto text = pick(paths);
  if (below(3) == 0) text += (text.back() == '/' ? "" : "/") + pick(word_list) + "-" + digits(3);
  return text;
}

std::string CleanTraffic::form() {
  std::string body;
  const auto count = 2 + below(6);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) body += '&';
    body += pick(names) + "=" + percent_encode(value(), true);
  }
  return body;
}

std::string CleanTraffic::json() {
  std::string body = "{";
  const auto count = 2 + below(6);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) body += ',';
    body += json_text(pick(names) + std::to_string(i)) + ":";
    switch (below(5)) {
      case 0: body += digits(1) == "0" ? "0" : "4" + digits(3); break;
      case 1: body += "[" + json_text(value()) + "," + json_text(value()) + "]"; break;
      case 2: body += "{\"name\":" + json_text(value()) + ",\"active\":true}"; break;
      default: body += json_text(value());
    }
  }
  return body + "}";
}

void CleanTraffic::browser_headers(WafRequest& request) {
  request.headers = {{"Host", "www.example.com"},
                     {"User-Agent", pick(agents)},
                     {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
                     {"Accept-Language", pick(languages)},
                     {"Accept-Encoding", "gzip, deflate, br"},
                     {"Connection", "keep-alive"}};
  if (below(5) != 0) request.headers.emplace_back("Cookie", cookies());
  if (below(2) == 0) request.headers.emplace_back("Referer", "https://www.example.com" + path());
  if (below(2) == 0) {
    request.headers.emplace_back("Sec-Fetch-Dest", "document");
    request.headers.emplace_back("Sec-Fetch-Mode", "navigate");
    request.headers.emplace_back("Sec-Fetch-Site", "same-origin");
    request.headers.emplace_back("Upgrade-Insecure-Requests", "1");
  }
}

void CleanTraffic::upload(WafRequest& request) {
  const auto boundary = "----WebKitFormBoundary" + token(16);
  request.body = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n" + words(3) + "\r\n--" +
                 boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + pick(word_list) +
                 ".jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\xFF\xD8\xFF\xE0" + token(300) + "\r\n--" + boundary +
                 "--\r\n";
  request.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
}

WafRequest CleanTraffic::next() {
  WafRequest request;
  request.client = "192.0.2." + std::to_string(1 + below(250));
  browser_headers(request);
  request.uri = path();
  auto share = below(100);
  if (share < mix_.gets) {
    const auto count = below(6);
    for (std::uint32_t i = 0; i < count; ++i) {
      request.uri += (i == 0 ? "?" : "&") + pick(names) + "=" + percent_encode(value(), true);
    }
    request.name = "get";
    return request;
  }
  share -= mix_.gets;
  request.method = "POST";
  request.headers.emplace_back("Origin", "https://www.example.com");
  if (share < mix_.forms) {
    request.name = "form";
    request.body = form();
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  } else if (share < mix_.forms + mix_.json) {
    request.name = "json";
    request.body = json();
    request.headers.emplace_back("Content-Type", "application/json");
  } else {
    request.name = "upload";
    upload(request);
  }
  request.headers.emplace_back("Content-Length", std::to_string(request.body.size()));
  return request;
}

}  // namespace gatehouse::waf::test
