// Cost of finding a location: it must not grow with the number of locations.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "proxy/config/loader.hpp"
#include "proxy/route/location_tree.hpp"

namespace gatehouse::route {
namespace {

std::shared_ptr<const config::Config> server_of(std::int64_t locations) {
  std::string text = "events {} http { server { listen 80; ";
  for (std::int64_t i = 0; i < locations; ++i) text += fmt::format("location /r{:05}/ {{ }} ", i);
  auto loaded = config::load_text("bench.conf", text + "} }", {});
  if (!loaded.config) throw std::runtime_error("the benchmark's configuration does not load");
  return loaded.config;
}

void find_location(benchmark::State& state) {
  const auto config = server_of(state.range(0));
  const LocationTree tree(*config->http.servers.front());
  std::vector<std::string> uris;
  for (std::int64_t i = 0; i < 64; ++i) uris.push_back(fmt::format("/r{:05}/index.html", i * 157 % state.range(0)));
  config::Regex::Captures captures;
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(tree.find(uris[next++ % uris.size()], captures));
}
BENCHMARK(find_location)->Arg(1)->Arg(100)->Arg(10000);

}  // namespace
}  // namespace gatehouse::route
