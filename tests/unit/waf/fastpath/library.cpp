#include "tests/unit/waf/fastpath/library.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <modsecurity/actions/action.h>
#include <modsecurity/transaction.h>
#include <nlohmann/json.hpp>

// The library exports this class but does not install its header; only the static function is called here, the rest
// goes through the virtual functions of Action, which is installed.
namespace modsecurity::actions::transformations {
class Transformation : public Action {
 public:
  static Transformation* instantiate(std::string name);
};
}  // namespace modsecurity::actions::transformations

// Declared in the order of 3.0.9's header, so that the virtual functions are found where they are.
namespace modsecurity::operators {
class Operator {
 public:
  virtual ~Operator();
  static Operator* instantiate(const std::string& name, const std::string& parameter);
  virtual bool init(const std::string& file, std::string* error);
  bool evaluateInternal(Transaction* transaction, RuleWithActions* rule, const std::string& value,
                        std::shared_ptr<RuleMessage> message);
};
}  // namespace modsecurity::operators

namespace gatehouse::waf::fastpath::testing {

struct LibraryTransformation::Implementation {
  std::unique_ptr<modsecurity::actions::Action> action;
};

LibraryTransformation::LibraryTransformation(Transformation step)
    : implementation_(std::make_unique<Implementation>()) {
  // In 3.0.9 this one is known to instantiate() by another name than to the parser.
  const std::string spelling = step == Transformation::cmd_line ? "cmd_line" : std::string(name(step));
  implementation_->action.reset(modsecurity::actions::transformations::Transformation::instantiate("t:" + spelling));
}

LibraryTransformation::~LibraryTransformation() = default;

std::string LibraryTransformation::run(const std::string& value, void* transaction) const {
  return implementation_->action->evaluate(value, static_cast<modsecurity::Transaction*>(transaction));
}

struct LibraryOperator::Implementation {
  std::unique_ptr<modsecurity::operators::Operator> op;
  bool valid = false;
};

LibraryOperator::LibraryOperator(OperatorKind kind, const std::string& parameter)
    : implementation_(std::make_unique<Implementation>()) {
  implementation_->op.reset(modsecurity::operators::Operator::instantiate(std::string(name(kind)), parameter));
  std::string error;
  implementation_->valid = implementation_->op->init("", &error);
}

LibraryOperator::~LibraryOperator() = default;

bool LibraryOperator::valid() const { return implementation_->valid; }

bool LibraryOperator::matches(const std::string& value) const {
  return implementation_->op->evaluateInternal(nullptr, nullptr, value, nullptr);
}

std::string Inputs::bytes(std::size_t max_length) {
  std::string text(below(static_cast<std::uint32_t>(max_length) + 1), '\0');
  for (char& c : text) c = static_cast<char>(below(256));
  return text;
}

std::string Inputs::from(const std::vector<std::string>& fragments, std::size_t max_count) {
  std::string text;
  for (std::size_t left = below(static_cast<std::uint32_t>(max_count) + 1); left > 0; --left) {
    text += fragments[below(static_cast<std::uint32_t>(fragments.size()))];
  }
  return text;
}

std::string Inputs::mutate(std::string text, const std::vector<std::string>& fragments) {
  const std::size_t at = below(static_cast<std::uint32_t>(text.size()) + 1);
  switch (below(4)) {
    case 0: return text.insert(at, fragments[below(static_cast<std::uint32_t>(fragments.size()))]);
    case 1: return text.insert(at, 1, static_cast<char>(below(256)));
    case 2: return at < text.size() ? text.erase(at, 1 + below(3)) : text;
    default:
      if (at < text.size()) text[at] = static_cast<char>(below(256));
      return text;
  }
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte > 0x7e || c == '\\' ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return out;
}

namespace {

std::string unpacked_in(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (std::filesystem::exists(entry.path() / "test" / "test-cases")) return entry.path();
  }
  return {};
}

std::string fetch_once() {
  if (const char* given = std::getenv("GATEHOUSE_MODSECURITY_SOURCE")) return given;
  const std::filesystem::path directory =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "modsecurity-source";
  if (std::string found = unpacked_in(directory); !found.empty()) return found;
  const std::string script = std::string(GATEHOUSE_SOURCE_DIR) + "/tests/support/fetch_modsecurity_source.sh";
  const std::string command = "timeout 120 '" + script + "' '" + directory.string() + "' >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) return {};
  return unpacked_in(directory);
}

/// The vectors write bytes as \xHH inside JSON strings.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text.compare(i, 2, "\\x") == 0 && i + 3 < text.size() &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0 &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 3])) != 0;
    if (!escape) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
    i += 3;
  }
  return out;
}

}  // namespace

std::string library_source() {
  static const std::string source = fetch_once();
  return source;
}

std::vector<Vector> official_vectors(std::string_view family) {
  std::vector<Vector> vectors;
  const std::string source = library_source();
  if (source.empty()) return vectors;
  const auto directory = std::filesystem::path(source) / "test/test-cases/secrules-language-tests" / family;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const nlohmann::json tests = nlohmann::json::parse(file, nullptr, false);
    if (tests.is_discarded()) continue;
    for (const auto& test : tests) {
      Vector vector{test.value("name", ""), test.value("input", ""), test.value("param", ""), test.value("ret", 0)};
      vectors.push_back(vector);
      const std::string decoded = unescape(vector.input);
      if (decoded == vector.input) continue;
      vector.input = decoded;
      vectors.push_back(vector);
    }
  }
  return vectors;
}

}  // namespace gatehouse::waf::fastpath::testing
