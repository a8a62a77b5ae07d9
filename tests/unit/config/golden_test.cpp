// Every file of golden/ is a configuration, a line, and what must come of it: messages ("--- messages", with excerpts)
// and, when it loads, its typed values ("--- values"). Set GATEHOUSE_UPDATE_GOLDEN=1 to write what came out instead of
// comparing.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "proxy/config/dump.hpp"
#include "proxy/config/loader.hpp"
#include "tests/unit/config/catalog.hpp"

namespace gatehouse::config {
namespace {

const std::filesystem::path& golden_folder() {
  static const std::filesystem::path folder = std::filesystem::path(GATEHOUSE_SOURCE_DIR) / "tests/unit/config/golden";
  return folder;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string outcome(const std::string& name, const std::string& text) {
  const FakeCatalog catalog;
  LoadOptions options;
  options.prefix = "/srv";
  options.path = (golden_folder() / "files/nginx.conf").string();
  options.variables = &catalog;
  options.warn_of_traps = name.starts_with("traps");
  options.accept_missing = name.starts_with("missing_");
  const auto result = load_text("nginx.conf", text, options);
  std::string out;
  if (!result.diagnostics.empty()) out += "--- messages\n";
  constexpr std::string_view kLevels[] = {"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"};
  for (const auto& message : result.diagnostics) {
    out += "[" + std::string(kLevels[static_cast<std::size_t>(message.level)]) + "] " + message.text + "\n";
    if (!message.excerpt.empty()) out += message.excerpt + "\n";
  }
  if (result.config) out += "--- values\n" + dump_values(*result.config);
  const auto folder = golden_folder().string();
  for (auto at = out.find(folder); at != std::string::npos; at = out.find(folder))
    out.replace(at, folder.size(), "GOLDEN");
  return out;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, LoadsToWhatTheFileSays) {
  const auto path = golden_folder() / (GetParam() + ".txt");
  const auto file = read(path);
  const auto split = std::min(file.find("\n--- messages\n"), file.find("\n--- values\n"));
  const auto text = file.substr(0, split == std::string::npos ? split : split + 1);
  const auto actual = outcome(GetParam(), text);
  if (std::getenv("GATEHOUSE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text << actual;
    return;
  }
  ASSERT_NE(split, std::string::npos) << "the file says nothing about the outcome";
  EXPECT_EQ(actual, file.substr(split + 1));
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(golden_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace gatehouse::config
