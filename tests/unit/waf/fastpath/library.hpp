// libmodsecurity as the oracle of the differential tests: what its headers do not offer but its library exports.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath::testing {

/// One of the library's own transformations.
class LibraryTransformation {
 public:
  explicit LibraryTransformation(Transformation step);
  ~LibraryTransformation();
  LibraryTransformation(const LibraryTransformation&) = delete;
  LibraryTransformation& operator=(const LibraryTransformation&) = delete;

  /// `transaction` (a modsecurity::Transaction) is only looked at by urlDecodeUni; it may be null.
  [[nodiscard]] std::string run(const std::string& value, void* transaction = nullptr) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// One of the library's own operators, not negated, without a transaction.
class LibraryOperator {
 public:
  LibraryOperator(OperatorKind kind, const std::string& parameter);
  ~LibraryOperator();
  LibraryOperator(const LibraryOperator&) = delete;
  LibraryOperator& operator=(const LibraryOperator&) = delete;

  /// False when the library refuses the parameter.
  [[nodiscard]] bool valid() const;
  [[nodiscard]] bool matches(const std::string& value) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// A source of reproducible inputs: random bytes, and strings over an alphabet of fragments that matter.
class Inputs {
 public:
  explicit Inputs(std::uint32_t seed) : random_(seed) {}

  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  [[nodiscard]] std::string bytes(std::size_t max_length);
  [[nodiscard]] std::string from(const std::vector<std::string>& fragments, std::size_t max_count);
  [[nodiscard]] std::string mutate(std::string text, const std::vector<std::string>& fragments);

 private:
  std::mt19937 random_;
};

/// Escapes what is not printable, for messages.
[[nodiscard]] std::string printable(std::string_view text);

/// The library's source tree as Debian ships it (never committed): test/test-cases holds the official vectors.
/// From GATEHOUSE_MODSECURITY_SOURCE, or fetched once by tests/support/fetch_modsecurity_source.sh; empty when neither
/// works.
[[nodiscard]] std::string library_source();

/// One official vector of test/test-cases/secrules-language-tests.
struct Vector {
  std::string name;
  std::string input;
  std::string parameter;
  int expected = 0;
};
/// The vectors of `family` ("transformations" or "operators"); empty when the source is not there.
[[nodiscard]] std::vector<Vector> official_vectors(std::string_view family);

}  // namespace gatehouse::waf::fastpath::testing
