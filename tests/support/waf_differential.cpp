#include "waf_differential.hpp"

#include <optional>

namespace gatehouse::waf::test {
namespace {

std::string escaped(const std::string& text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      result += c;
    } else {
      result += "\\x";
      result += hex[static_cast<unsigned char>(c) >> 4U];
      result += hex[static_cast<unsigned char>(c) & 15U];
    }
  }
  return result;
}

std::string dump(const WafRequest& request) {
  std::string text = request.method + " " + request.uri + " HTTP/" + request.version;
  for (const auto& [name, value] : request.headers) text += " | " + name + ": " + value;
  return escaped(text + " || " + request.body);
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  requests += other.requests;
  flagged += other.flagged;
  skipped += other.skipped;
  false_alarms += other.false_alarms;
  unsound += other.unsound;
  narrowed += other.narrowed;
  narrowed_otherwise += other.narrowed_otherwise;
  with_all += other.with_all;
  with_few += other.with_few;
  for (const auto& [reason, count] : other.reasons) reasons[reason] += count;
  return *this;
}

Differential::Differential(Oracle& oracle, LoadedPair& pair)
    : oracle_(oracle), pair_(pair), worker_(pair.built.fast_path, 1), narrowed_(pair.rules, *pair.built.plan) {}

bool Differential::skips(fastpath::FastPath::Worker& worker, const RequestInput& input) {
  return worker.check_request(input).clean() && worker.check_response(input, response_).clean();
}

std::string Differential::run(const WafRequest& request, Tally& tally) {
  const RequestViews views(request);
  const RequestInput& input = views.input();
  std::string wrong;
  const auto outcome = worker_.check_request(input);
  const auto* const named = worker_.candidates();
  const auto candidates = named != nullptr ? std::optional(*named) : std::nullopt;
  const bool clean = outcome.clean() && worker_.check_response(input, response_).clean();
  const auto began = std::chrono::steady_clock::now();
  const auto findings = oracle_.run(*pair_.rules, input, &response_);
  const auto took = std::chrono::steady_clock::now() - began;
  if (candidates) {
    tally.with_all += took;
    wrong = compare_narrowed(input, *candidates, findings.trace, tally);
  }
  ++tally.requests;
  if (!findings.none()) ++tally.flagged;
  if (clean) ++tally.skipped;
  if (clean && !findings.none()) {
    ++tally.unsound;
    wrong += "UNSOUND" + findings.what;
    fastpath::FastPath::Worker fresh(pair_.built.fast_path, 1);
    if (!skips(fresh, input)) wrong += ", through what the worker remembered";
    wrong += "\n";
  }
  if (!clean && findings.none()) {
    ++tally.false_alarms;
    ++tally.reasons[std::string(fastpath::label(outcome.reason)) + " " + std::to_string(outcome.rule_id)];
  }
  if (!wrong.empty()) wrong += "    " + dump(request) + "\n";
  return wrong;
}

// The rules that may match, alone, against all of them.
std::string Differential::compare_narrowed(const RequestInput& input, const fastpath::Candidates& candidates,
                                           const std::string& of_all, Tally& tally) {
  ++tally.narrowed;
  const auto began = std::chrono::steady_clock::now();
  const auto of_few = oracle_.run(*narrowed_.narrow(candidates), input, &response_).trace;
  tally.with_few += std::chrono::steady_clock::now() - began;
  if (of_few == of_all) return {};
  ++tally.narrowed_otherwise;
  return "NARROWED OTHERWISE\nall:\n" + of_all + "few:\n" + of_few;
}

}  // namespace gatehouse::waf::test
