// Cost of one clean request under the CRS: the fast path's proof, and libmodsecurity's evaluation of the same request.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "tests/support/clean_traffic.hpp"
#include "tests/support/waf_oracle.hpp"
#include "waf/fastpath/fast_path.hpp"
#include "waf/narrowed_rules.hpp"

namespace gatehouse::waf {
namespace {

/// The shipped rules, loaded once for all benchmarks.
struct Rules {
  test::Oracle oracle;
  test::LoadedPair pair =
      test::load_pair(oracle, "Include " GATEHOUSE_SOURCE_DIR "/rules/gatehouse-crs.conf\n", "./bench.conf");
};

Rules& rules() {
  static Rules loaded;
  return loaded;
}

test::WafRequest browser_get(bool five_arguments) {
  test::WafRequest request;
  request.uri = five_arguments ? "/shop/item?id=42&lang=en&page=3&sort=price&q=blue+running+shoes" : "/";
  request.headers = {
      {"Host", "bench.example"},
      {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
      {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
      {"Accept-Language", "en-US,en;q=0.5"},
      {"Accept-Encoding", "gzip, deflate, br"},
      {"Cookie", "sid=7f3a9c2e51b84d06a1f2; theme=dark; lang=en; cart=3-17-204"},
      {"Connection", "keep-alive"},
  };
  return request;
}

void fast_path(benchmark::State& state, bool five_arguments) {
  const auto& built = rules().pair.built;
  if (!built.fast_path) return state.SkipWithError(built.refusal.c_str());
  fastpath::FastPath::Worker worker(built.fast_path, 1);
  const test::WafRequest request = browser_get(five_arguments);
  const test::RequestViews views(request);
  for (auto _ : state) {
    if (!worker.check_request(views.input()).clean()) return state.SkipWithError("the request was not proven clean");
  }
}
BENCHMARK_CAPTURE(fast_path, get, false);
BENCHMARK_CAPTURE(fast_path, get_five_arguments, true);

/// Values differ from request to request, so that fewer of them are remembered.
void fast_path_of_traffic(benchmark::State& state, test::TrafficMix mix) {
  const auto& built = rules().pair.built;
  if (!built.fast_path) return state.SkipWithError(built.refusal.c_str());
  fastpath::FastPath::Worker worker(built.fast_path, 1);
  test::CleanTraffic traffic(7, mix);
  std::vector<test::WafRequest> requests;
  for (int i = 0; i < 2000; ++i) requests.push_back(traffic.next());
  std::vector<std::unique_ptr<test::RequestViews>> views;
  for (const auto& request : requests) views.push_back(std::make_unique<test::RequestViews>(request));
  std::size_t next = 0;
  std::int64_t clean = 0;
  for (auto _ : state) clean += worker.check_request(views[next++ % views.size()]->input()).clean() ? 1 : 0;
  state.counters["clean"] = static_cast<double>(clean) / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(fast_path_of_traffic, gets, test::TrafficMix{.gets = 100, .forms = 0, .json = 0, .uploads = 0});
BENCHMARK_CAPTURE(fast_path_of_traffic, forms, test::TrafficMix{.gets = 0, .forms = 100, .json = 0, .uploads = 0});
BENCHMARK_CAPTURE(fast_path_of_traffic, json, test::TrafficMix{.gets = 0, .forms = 0, .json = 100, .uploads = 0});

void libmodsecurity(benchmark::State& state) {
  auto& [oracle, pair] = rules();
  const test::WafRequest request = browser_get(true);
  const test::RequestViews views(request);
  for (auto _ : state) {
    if (!oracle.run(*pair.rules, views.input()).none()) return state.SkipWithError("the request was not clean");
  }
}
BENCHMARK(libmodsecurity);

/// An attack through libmodsecurity, with every rule or with those that the fast path leaves.
void attack(benchmark::State& state, bool narrowed) {
  auto& [oracle, pair] = rules();
  if (!pair.built.fast_path) return state.SkipWithError(pair.built.refusal.c_str());
  fastpath::FastPath::Worker worker(pair.built.fast_path, 1);
  const NarrowedRules narrower(pair.rules, *pair.built.plan);
  test::WafRequest request = browser_get(false);
  request.uri = "/item?id=1%20union%20select%20user%2Cpassword%20from%20users";
  const test::RequestViews views(request);
  for (auto _ : state) {
    if (worker.check_request(views.input()).clean() || worker.candidates() == nullptr) {
      return state.SkipWithError("nothing may be left out");
    }
    const auto set = narrowed ? narrower.narrow(*worker.candidates()) : pair.rules;
    if (oracle.run(*set, views.input()).none()) return state.SkipWithError("the attack was not seen");
  }
}
BENCHMARK_CAPTURE(attack, every_rule, false);
BENCHMARK_CAPTURE(attack, narrowed, true);

}  // namespace
}  // namespace gatehouse::waf
