// What has to be known of SecLang text before libmodsecurity is given it: which files it reads, and what would crash
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// One directive line: continuation lines joined, comments and blank lines left out. Views into the scanned text.
struct DirectiveLine {
  std::string_view name;       ///< "SecRule"
  std::string_view gap;        ///< the white space behind the name
  std::string_view arguments;  ///< the rest, with its continuation marks and line ends
  unsigned line = 0;           ///< of the name
};

/// The directives of `text`, in order. `first_line` is the number of the text's first line.
[[nodiscard]] std::vector<DirectiveLine> split_directives(std::string_view text, unsigned first_line = 1);

/// Whether libmodsecurity 3.0.9 reads past the end of a null pointer when a TAB stands behind this directive's name:
/// its scanner looks for a blank there. Names compare without regard to case.
[[nodiscard]] bool crashes_on_tab(std::string_view directive);

/// `text` with one blank in place of each gap that holds a TAB; line numbers stay as they are.
[[nodiscard]] std::string without_tabs(std::string_view text);

/// A file that a text reads, and where it says so.
struct FileReference {
  std::string path;  ///< as libmodsecurity resolves it; for a pattern one reference for each file
  SourceLocation where;
  bool rules = false;  ///< an Include; otherwise data (@pmFromFile, SecUnicodeMapFile ...)
};

/// The files that `text` of file `name` reads. A path is looked for as it is (relative to the working directory), then
/// beside the file that names it, as libmodsecurity does; one that does not exist is left out: the library says so
/// itself.
[[nodiscard]] std::vector<FileReference> referenced_files(std::string_view text, const std::string& name,
                                                          unsigned first_line = 1);

/// A piece's text followed by all files it includes, depth first; `data` gets the data files of all of them. A file in
/// more than one place is listed as often. Throws RuleSetError: an unreadable file, an Include of itself, a TAB that
/// would crash in an included file.
void collect_texts(const LoadedText& piece, std::vector<LoadedText>& texts, std::vector<std::string>& data);

/// A whole file. Throws RuleSetError with `where` as its location.
[[nodiscard]] std::string read_rule_file(const std::string& path, const SourceLocation& where);

}  // namespace gatehouse::waf
