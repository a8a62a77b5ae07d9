// Costs of parsing: request heads, response heads, paths.
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "proxy/http/fields.hpp"
#include "proxy/http/request_parser.hpp"
#include "proxy/http/response_parser.hpp"
#include "proxy/http/target.hpp"

namespace gatehouse::http {
namespace {

constexpr std::string_view kSmallRequest = "GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n";
constexpr std::string_view kBrowserRequest =
    "GET /shop/item?id=42&lang=en&page=3&sort=price&q=blue+running+shoes HTTP/1.1\r\n"
    "Host: bench.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: http://bench.example/shop/shoes\r\n"
    "Cookie: sid=7f3a9c2e51b84d06a1f2; theme=dark; lang=en; cart=3-17-204\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 34\r\nConnection: keep-alive\r\n\r\n";

void request_head(benchmark::State& state, std::string_view text) {
  RequestParser parser;
  for (auto _ : state) {
    parser.reset();
    if (parser.parse(text) != ParseStatus::complete) return state.SkipWithError("the head was not accepted");
    benchmark::DoNotOptimize(parser.head());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(request_head, small, kSmallRequest);
BENCHMARK_CAPTURE(request_head, browser, kBrowserRequest);

void response_head(benchmark::State& state) {
  ResponseParser parser;
  for (auto _ : state) {
    parser.reset();
    if (parser.parse(kResponse) != ParseStatus::complete) return state.SkipWithError("the head was not accepted");
    benchmark::DoNotOptimize(parser.head());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kResponse.size()));
}
BENCHMARK(response_head);

void path(benchmark::State& state, std::string_view raw) {
  std::string storage;
  for (auto _ : state) {
    auto normalized = normalize_path(raw, Slashes::merge, storage);
    if (!normalized) return state.SkipWithError("the path was not accepted");
    benchmark::DoNotOptimize(normalized);
  }
}
BENCHMARK_CAPTURE(path, root, "/");
BENCHMARK_CAPTURE(path, plain, "/assets/images/2026/11/running-shoes-blue.jpg");
BENCHMARK_CAPTURE(path, escapes_and_dots, "/assets//images/./2026/%6eov/../11/running%20shoes.jpg");

void name_lookup(benchmark::State& state, std::string_view name) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(name);
    benchmark::DoNotOptimize(field_id(name));
  }
}
BENCHMARK_CAPTURE(name_lookup, known, "Content-Length");
BENCHMARK_CAPTURE(name_lookup, unknown, "X-Correlation-Token");

}  // namespace
}  // namespace gatehouse::http
