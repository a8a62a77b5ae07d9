#include "proxy/config/syntax.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

namespace gatehouse::config {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// What ends a word list, or stops it with an error.
enum class End : std::uint8_t { semicolon, block_open, block_close, file, error };

std::string printable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte >= 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
}

}  // namespace

Place Statement::place(std::size_t word) const {
  const auto& shown = words[std::min(word, words.size() - 1)];
  return {file, line, shown.line, shown.column, order};
}

// One file's text. The states and messages are those of nginx's ngx_conf_read_token().
class Reader::Parser {
 public:
  Parser(Reader& reader, const SourceFile& source) : reader_(reader), source_(source), text_(source.text) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = line_start_ = 3;
  }

  // Statements up to the `}` that closes the block (`depth` > 0) or to the end of the file.
  std::vector<Statement> statements(std::size_t depth) {
    std::vector<Statement> result;
    for (;;) {
      std::vector<Word> words;
      const End end = next_words(words);
      if (end == End::error) {
        skip_statement(depth);
        continue;
      }
      if (end == End::file) {
        if (depth > 0)
          fail("unexpected end of file, expecting \"}\"", fmt::format("the block of line {} is open", opened_));
        return result;
      }
      if (end == End::block_close) {
        if (depth > 0) return result;
        fail("unexpected \"}\"", "no block is open here");
        continue;
      }
      Statement statement;
      statement.words = std::move(words);
      statement.file = &source_;
      statement.line = line_;
      statement.order = ++reader_.order_;
      if (end == End::block_open) {
        if (depth >= kMaxBlockDepth) {
          fail("blocks stand too deep in one another");
          at_ = text_.size();
          return result;
        }
        statement.has_block = true;
        const auto outer = opened_;
        opened_ = line_;
        if (statement.name().ends_with("_by_lua_block")) {
          skip_lua_block();
        } else {
          statement.block = statements(depth + 1);
        }
        opened_ = outer;
      }
      if (statement.name() == "include" && !statement.has_block && statement.argument_count() == 1) {
        reader_.include(statement, result);
      } else {
        result.push_back(std::move(statement));
      }
    }
  }

 private:
  bool more() const { return at_ < text_.size(); }
  std::uint32_t column() const { return static_cast<std::uint32_t>(at_ - line_start_ + 1); }
  void newline() {
    ++line_;
    line_start_ = at_ + 1;
  }
  Place here() const { return {&source_, line_, line_, column(), ++reader_.order_}; }
  void fail(std::string_view text, std::string_view hint = {}) { reader_.reporter_.error(here(), text, hint); }
  void fail_at(const Word& word, std::string_view text, std::string_view hint) {
    reader_.reporter_.error({&source_, line_, word.line, word.column, ++reader_.order_}, text, hint);
  }

  void skip_space_and_comments() {
    for (bool comment = false; more(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        newline();
        comment = false;
      } else if (c == '#') {
        comment = true;
      } else if (!comment && !is_space(c)) {
        return;
      }
    }
  }

  // Behind the "{" of a block that holds Lua instead of statements (OpenResty): on to behind its "}". Braces in Lua's
  // strings, long brackets and comments don't count.
  void skip_lua_block() {
    for (std::size_t open = 1; more(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') newline();
      if (c == '{') ++open;
      if (c == '}' && --open == 0) {
        ++at_;
        return;
      }
      if (c == '"' || c == '\'') skip_lua_string(c);
      const bool comment = text_.substr(at_).starts_with("--");
      if (comment) at_ += 2;
      if ((comment || c == '[') && !skip_lua_long_bracket() && comment) {
        while (more() && text_[at_] != '\n') ++at_;
        --at_;
      }
    }
    fail("unexpected end of file, expecting \"}\"");
  }
  void skip_lua_string(char quote) {
    for (++at_; more() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    }
    --at_;
    if (more() && at_ + 1 < text_.size() && text_[at_ + 1] == quote) ++at_;
  }
  // At "[[", "[=[" ...: on to the last character of the matching close.
  bool skip_lua_long_bracket() {
    std::size_t level = at_ + 1;
    if (!more() || text_[at_] != '[') return false;
    while (level < text_.size() && text_[level] == '=') ++level;
    if (level >= text_.size() || text_[level] != '[') return false;
    const std::string close = "]" + std::string(level - at_ - 1, '=') + "]";
    const auto end = text_.find(close, level);
    const auto last = end == std::string_view::npos ? text_.size() - 1 : end + close.size() - 1;
    for (; at_ < last; ++at_) {
      if (text_[at_] == '\n') newline();
    }
    return true;
  }

  // Behind a syntax error: on to the end of the broken statement, its block included.
  void skip_statement(std::size_t depth) {
    for (std::size_t open = 0; more(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') newline();
      if (c == '#') {
        while (more() && text_[at_] != '\n') ++at_;
        --at_;
      }
      if (c == '{') ++open;
      if (c == ';' && open == 0) break;
      if (c == '}') {
        if (open == 0 && depth > 0) return;  // closes the block that the statement stands in
        if (open <= 1) break;
        --open;
      }
    }
    if (more()) ++at_;
  }

  End next_words(std::vector<Word>& words) {
    bool after_quote = false;
    for (;;) {
      if (after_quote && more()) {
        const char c = text_[at_];
        if (!is_space(c) && c != ';' && c != '{' && c != ')') {
          fail(fmt::format("unexpected \"{}\"", printable(c)), "a space must follow the closing quote");
          return End::error;
        }
      }
      skip_space_and_comments();
      after_quote = false;
      if (!more()) {
        if (words.empty()) return End::file;
        fail_at(words.front(), "unexpected end of file, expecting \";\" or \"}\"", "this statement does not end");
        return End::error;
      }
      const char c = text_[at_];
      if (c == ';' || c == '{') {
        if (words.empty()) {
          fail(fmt::format("unexpected \"{}\"", c));
          if (c == ';') ++at_;
          return c == ';' ? next_words(words) : End::error;
        }
        ++at_;
        return c == ';' ? End::semicolon : End::block_open;
      }
      if (c == '}') {
        if (!words.empty()) {
          fail_at(words.back(), "unexpected \"}\"", "a \";\" is missing behind this");
          return End::error;
        }
        ++at_;
        return End::block_close;
      }
      if (!read_word(words, after_quote)) return End::error;
    }
  }

  bool read_word(std::vector<Word>& words, bool& after_quote) {
    Word word{{}, line_, column()};
    const char first = text_[at_];
    if (first == '"' || first == '\'') {
      ++at_;
      if (!read_until_quote(word, first)) return false;
      after_quote = true;
    } else {
      for (bool variable = false; more(); ++at_) {
        const char c = text_[at_];
        if (c == '{' && variable) {  // ${name}: the brace belongs to the word
          variable = false;
          word.text += c;
          continue;
        }
        if (is_space(c) || c == ';' || c == '{') break;
        variable = c == '$';
        if (c == '\\') {
          unescape(word.text);
        } else {
          word.text += c;
        }
      }
    }
    words.push_back(std::move(word));
    return true;
  }

  bool read_until_quote(Word& word, char quote) {
    const auto opening_line = line_;
    for (; more(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') newline();
      if (c == quote) {
        ++at_;
        return true;
      }
      if (c == '\\') {
        unescape(word.text);
      } else {
        word.text += c;
      }
    }
    word.line = opening_line;
    fail_at(word, "unexpected end of file, expecting \";\" or \"}\"", fmt::format("the closing {} is missing", quote));
    return false;
  }

  // At a backslash: nginx resolves \" \' \\ \t \r \n and keeps the backslash of any other pair.
  void unescape(std::string& out) {
    if (at_ + 1 >= text_.size()) {
      out += '\\';
      return;
    }
    const char c = text_[++at_];
    switch (c) {
      case '"':
      case '\'':
      case '\\': out += c; return;
      case 't': out += '\t'; return;
      case 'r': out += '\r'; return;
      case 'n': out += '\n'; return;
      default:
        if (c == '\n') newline();
        out += '\\';
        out += c;
        return;
    }
  }

  Reader& reader_;
  const SourceFile& source_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t opened_ = 0;
};

const SourceFile* Reader::find_source(std::string_view path) const {
  const auto found = std::ranges::find_if(sources_, [&](const auto& source) { return source->path == path; });
  return found == sources_.end() ? nullptr : found->get();
}

std::vector<Statement> Reader::read_source(const SourceFile& source) {
  open_.push_back(&source);
  auto statements = Parser(*this, source).statements(0);
  open_.pop_back();
  return statements;
}

std::vector<Statement> Reader::read_text(std::string_view name, std::string_view text) {
  sources_.push_back(std::make_unique<const SourceFile>(SourceFile{std::string(name), std::string(text)}));
  return read_source(*sources_.back());
}

std::vector<Statement> Reader::read_file(const std::string& path, const Place* from) {
  const Place place = from != nullptr ? *from : Place{};
  const SourceFile* source = find_source(path);
  if (source == nullptr) {
    struct stat info{};
    std::ifstream file(path, std::ios::binary);
    if (!file || ::stat(path.c_str(), &info) != 0) {
      reporter_.error(place, fmt::format("open() \"{}\" failed ({}: {})", path, errno, std::strerror(errno)));
      return {};
    }
    if (S_ISDIR(info.st_mode)) {
      reporter_.error(place, fmt::format("\"{}\" is a directory", path));
      return {};
    }
    std::string text{std::istreambuf_iterator<char>(file), {}};
    bytes_ += text.size();
    sources_.push_back(std::make_unique<const SourceFile>(SourceFile{path, std::move(text)}));
    source = sources_.back().get();
  } else {
    bytes_ += source->text.size();
  }
  if (bytes_ > kMaxBytes) {
    reporter_.error(place, "the configuration and its includes are too large");
    return {};
  }
  return read_source(*source);
}

void Reader::include(const Statement& statement, std::vector<Statement>& out) {
  const std::string& given = statement[1];
  const std::string pattern = given.starts_with('/') || folder_.empty() ? given : folder_ + "/" + given;
  const auto place = statement.place(1);
  if (open_.size() >= kMaxIncludeDepth) {
    reporter_.error(place, fmt::format("include of \"{}\" is nested too deep", given));
    return;
  }
  std::vector<std::string> paths;
  if (pattern.find_first_of("*?[") == std::string::npos) {
    paths.push_back(pattern);
  } else {
    glob_t matches{};
    // As in nginx, a pattern that matches nothing is no error, and the files come sorted.
    if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
      paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
    }
    ::globfree(&matches);
  }
  for (const auto& path : paths) {
    const auto* source = find_source(path);
    if (source != nullptr && std::ranges::find(open_, source) != open_.end()) {
      reporter_.error(place, fmt::format("include of \"{}\" includes itself", path));
      continue;
    }
    auto statements = read_file(path, &place);
    std::ranges::move(statements, std::back_inserter(out));
  }
}

}  // namespace gatehouse::config
