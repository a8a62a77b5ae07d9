// nginx's configuration syntax: text -> words with positions -> a tree of statements, `include` already followed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"
#include "proxy/config/reporter.hpp"

namespace gatehouse::config {

/// One word, without its quotes and with its escapes resolved. Lines and columns (bytes) count from 1.
struct Word {
  std::string text;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// `name argument...;` or `name argument... { statements }`.
struct Statement {
  std::vector<Word> words;  ///< the name and its arguments, never empty
  bool has_block = false;
  std::vector<Statement> block;
  const SourceFile* file = nullptr;
  std::uint32_t line = 0;   ///< where it ends (its `;` or `{`): the line that nginx's messages name
  std::uint32_t order = 0;  ///< place among all statements of the configuration

  [[nodiscard]] const std::string& name() const noexcept { return words.front().text; }
  [[nodiscard]] std::size_t argument_count() const noexcept { return words.size() - 1; }
  /// The i-th argument, from 1 as nginx counts them.
  [[nodiscard]] const std::string& operator[](std::size_t i) const { return words.at(i).text; }
  [[nodiscard]] Place place(std::size_t word = 0) const;
};

/// Reads files into statements. Errors go to the reporter, and reading goes on behind the broken statement.
class Reader {
 public:
  /// How deep includes and blocks may stand in one another, and how much text a configuration may have.
  static constexpr std::size_t kMaxIncludeDepth = 16;
  static constexpr std::size_t kMaxBlockDepth = 64;
  static constexpr std::size_t kMaxBytes = 512 * 1024 * 1024;

  /// Relative includes start in `folder`. Both references must outlive the reader; files are appended to `sources`.
  Reader(Reporter& reporter, std::vector<std::unique_ptr<const SourceFile>>& sources, std::string folder)
      : reporter_(reporter), sources_(sources), folder_(std::move(folder)) {}

  /// Reads the file at `path`; `from` is the include that asked for it.
  [[nodiscard]] std::vector<Statement> read_file(const std::string& path, const Place* from = nullptr);
  /// Reads `text` as if it stood in a file called `name`.
  [[nodiscard]] std::vector<Statement> read_text(std::string_view name, std::string_view text);

 private:
  class Parser;

  std::vector<Statement> read_source(const SourceFile& source);
  void include(const Statement& statement, std::vector<Statement>& out);
  const SourceFile* find_source(std::string_view path) const;

  Reporter& reporter_;
  std::vector<std::unique_ptr<const SourceFile>>& sources_;
  std::string folder_;
  std::vector<const SourceFile*> open_;  ///< the files being read, outermost first
  std::size_t bytes_ = 0;
  std::uint32_t order_ = 0;
};

}  // namespace gatehouse::config
