// The table of directives itself: complete rows, true defaults, a current reference page.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/directive.hpp"
#include "proxy/config/reference.hpp"

namespace gatehouse::config {
namespace {

TEST(DirectiveTable, EveryRowIsDocumentedAndStandsSomewhere) {
  for (const auto& row : directives()) {
    EXPECT_FALSE(row.documentation.empty()) << row.name;
    EXPECT_NE(row.contexts, 0u) << row.name;
    EXPECT_LE(row.arity.least, row.arity.most) << row.name;
    if (row.support == Support::full || row.support == Support::tuning) {
      EXPECT_NE(row.action.set, nullptr) << row.name;
      EXPECT_TRUE(row.arity.most == 0 || !row.action.syntax.empty()) << row.name << " has arguments but no syntax";
    }
  }
}

TEST(DirectiveTable, NoTwoRowsOfANameShareAContext) {
  std::map<std::string_view, std::uint32_t> contexts;
  for (const auto& row : directives()) {
    EXPECT_EQ(contexts[row.name] & row.contexts, 0u) << row.name;
    contexts[row.name] |= row.contexts;
  }
}

// Shows that a row's printer and setter are of one member, and that the documented default is one that the setter
// accepts.
TEST(DirectiveTable, SettingTheDocumentedDefaultChangesNothing) {
  std::size_t checked = 0;
  for (const auto& row : directives()) {
    if (row.support != Support::full || row.action.print == nullptr || row.arity.block || row.arity.least == 0)
      continue;
    Config config;
    Reporter reporter;
    Binder binder(config, reporter, nullptr, {});
    Location location;
    ServerSettings server;
    Upstream upstream;
    fill_defaults(binder, location.settings);
    Level level;
    level.binder = &binder;
    level.main = &config.main;
    level.location = &location;
    level.settings = &location.settings;
    level.server_settings = &server;
    level.upstream = &upstream;
    const auto before = row.action.print(level);
    if (before.empty() || before == "set" || before.find('"') != std::string::npos) continue;
    Reader reader(reporter, config.sources, {});
    const auto statements = reader.read_text("default", fmt::format("{} {};", row.name, before));
    ASSERT_EQ(statements.size(), 1u) << row.name << " " << before;
    try {
      row.action.set(Use{level, statements.front(), row, true});
    } catch (const Invalid& invalid) {
      ADD_FAILURE() << row.name << " " << before << ": " << invalid.text;
    }
    EXPECT_EQ(row.action.print(level), before) << row.name;
    ++checked;
  }
  EXPECT_GT(checked, 60u);
}

TEST(DirectiveTable, ReferencePageIsCurrent) {
  const auto path = std::string(GATEHOUSE_SOURCE_DIR) + "/conf/DIRECTIVES.md";
  const auto page = directives_markdown();
  if (std::getenv("GATEHOUSE_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << page;
  std::ifstream file(path, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(committed == page) << "run: gatehouse --list-directives=markdown > conf/DIRECTIVES.md";
}

TEST(DirectiveTable, ListNamesEveryDirectiveThatIsAccepted) {
  const auto list = list_directives();
  for (const auto& row : directives()) {
    const bool accepted = row.support == Support::full || row.support == Support::tuning;
    if (accepted) EXPECT_NE(list.find(std::string(row.name)), std::string::npos) << row.name;
  }
}

}  // namespace
}  // namespace gatehouse::config
