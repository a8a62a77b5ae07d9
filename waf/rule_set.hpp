// Rule sets: where their text comes from, how levels of configuration merge, and the compiled result, shared by all
// that have the same text. Loading throws RuleSetError; evaluation does not.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/base/units.hpp"
#include "waf/overlay.hpp"

namespace gatehouse::waf {

/// A position in the proxy's configuration or in a rule file; line 0 where it is unknown.
struct SourceLocation {
  std::string file;
  unsigned line = 0;
};

/// `modsecurity_rules_file PATH`.
struct RuleFile {
  std::string path;          ///< absolute, or relative to the working directory
  SourceLocation directive;  ///< where the proxy's configuration names it
};
/// `modsecurity_rules 'TEXT'`. Log lines and errors name the configuration file and line the text stands in.
struct RuleText {
  std::string text;
  SourceLocation directive;  ///< of the text's first line
};
/// `modsecurity_rules_remote KEY URL`, fetched over HTTPS while loading.
struct RemoteRules {
  std::string key;
  std::string url;
  SourceLocation directive;
};
using RulePiece = std::variant<RuleFile, RuleText, RemoteRules>;

/// The pieces of one configuration level (http, server or location), in the order written.
struct RuleLevel {
  std::vector<RulePiece> pieces;

  [[nodiscard]] bool empty() const noexcept { return pieces.empty(); }
};

/// All levels that apply to a location, outermost (http) first. Levels without pieces may be left out or left in.
///
/// Merging is the connector's: the innermost level's rules come first, the outer level's are appended phase by phase;
/// scalars of the innermost level that sets them win; a rule id in two levels is an error.
struct RuleSetSource {
  std::vector<RuleLevel> levels;
};

/// Why a rule set could not be loaded. what() is "FILE:LINE: MESSAGE; REMEDY".
class RuleSetError : public std::runtime_error {
 public:
  RuleSetError(SourceLocation location, std::string message, std::string remedy);

  [[nodiscard]] const SourceLocation& location() const noexcept { return location_; }
  [[nodiscard]] const std::string& message() const noexcept {
    return message_;
  }  ///< libmodsecurity's own text where it spoke
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }

 private:
  SourceLocation location_;
  std::string message_;
  std::string remedy_;
};

/// SecRuleEngine.
enum class EngineState : std::uint8_t { off, detection_only, on };

/// A body's inspection limit and what happens beyond it.
struct BodyLimit {
  ByteCount bytes = 0;
  BodyLimitPolicy policy = BodyLimitPolicy::reject;
};

/// Where and how audit records are written.
struct AuditSettings {
  enum class When : std::uint8_t { off, on, relevant_only };
  enum class Type : std::uint8_t { serial, concurrent };
  enum class Format : std::uint8_t { native, json };

  When when = When::off;
  Type type = Type::serial;
  Format format = Format::native;
  std::string path;         ///< SecAuditLog: records (serial) or index (concurrent)
  std::string second_path;  ///< SecAuditLog2: the index, if both are set
  std::string storage_directory;
  unsigned file_mode = 0640;
  unsigned directory_mode = 0750;
  int parts = 0;               ///< libmodsecurity's bit set
  std::bitset<1000> relevant;  ///< by response status: SecAuditLogRelevantStatus matches
};

/// How many rules came from where, for the connector's banner.
struct RuleCounts {
  std::size_t inline_text = 0;
  std::size_t local_files = 0;
  std::size_t remote = 0;
};

/// What a compiled rule set is set to do, as far as the exchange and the fast path need to know it before evaluating.
struct RuleSetFacts {
  EngineState engine = EngineState::detection_only;
  bool request_body_access = true;
  bool response_body_access = false;
  BodyLimit request_body{};
  ByteCount request_body_no_files = 0;  ///< 0: no limit of its own
  BodyLimit response_body{};
  bool all_response_types = false;  ///< no SecResponseBodyMimeType: every type is inspected
  std::set<std::string, std::less<>> response_types;
  AuditSettings audit;
  RuleCounts counts;
  std::vector<std::string> warnings;  ///< for the log at start: what works less than the rules say
};

/// A text that went into a rule set, for a reader of one's own: the pieces in load order, each followed by the files it
/// includes (whose Include lines are in the piece's text still).
struct LoadedText {
  std::string name;  ///< file path, or the configuration file of an inline text
  std::string text;
  unsigned first_line = 1;  ///< of `text` in `name`
  bool included = false;    ///< reached by an Include line, not a piece itself
  std::size_t level = 0;    ///< index into RuleSetSource::levels, empty levels left out
};

/// One compiled, immutable rule set. Any number of threads may evaluate with it. Lifetime: shared; transactions keep it
/// alive.
class RuleSet {
 public:
  struct Compiled;  ///< libmodsecurity's side; complete only inside waf/*.cpp

  RuleSet(std::unique_ptr<Compiled> compiled, RuleSetFacts facts, std::vector<LoadedText> texts, std::string hash);
  ~RuleSet();
  RuleSet(const RuleSet&) = delete;
  RuleSet& operator=(const RuleSet&) = delete;

  [[nodiscard]] const RuleSetFacts& facts() const noexcept { return facts_; }
  /// Hex digest of every text and file that went in, Included and data files too. Equal hash: equal rule set.
  [[nodiscard]] const std::string& hash() const noexcept { return hash_; }
  [[nodiscard]] const std::vector<LoadedText>& texts() const noexcept { return texts_; }
  /// Whether a response of this Content-Type (parameters and all) has its body inspected in phase 4.
  [[nodiscard]] bool inspects_response_type(std::string_view content_type) const;
  [[nodiscard]] Compiled& compiled() const noexcept { return *compiled_; }

 private:
  std::unique_ptr<Compiled> compiled_;
  RuleSetFacts facts_;
  std::vector<LoadedText> texts_;
  std::string hash_;
};

/// Tries a source where a crash does no harm; throws RuleSetError. See spawned_validator().
using RuleSetValidator = std::function<void(const RuleSetSource&)>;

/// Compiles sources, each distinct one once; compiled sets live as long as somebody holds them and survive reloads by
/// that.
///
/// Levels are compiled once and shared by their children: a location that adds no rule gets its parent's set itself;
/// one that adds rules pays for parsing them and 16 bytes for each inherited rule. Thread-safe; meant for start and the
/// loader thread (compiling CRS takes about 50 ms and reads files).
class RuleSetCache {
 public:
  /// `validator` is called before a source that is not in the cache is compiled in this process; empty: none.
  explicit RuleSetCache(RuleSetValidator validator = {});
  ~RuleSetCache();
  RuleSetCache(const RuleSetCache&) = delete;
  RuleSetCache& operator=(const RuleSetCache&) = delete;

  /// The compiled set of `source`. Throws RuleSetError. A source without any piece gives an empty, valid set.
  [[nodiscard]] std::shared_ptr<const RuleSet> compile(const RuleSetSource& source);

  /// To be called when a reload begins: remote rules are fetched again then, though their URL is the same.
  void begin_reload();

  /// How many sets were compiled since construction (not served from the cache); for tests and the load metric.
  [[nodiscard]] std::size_t compilations() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A validator that runs `executable --check-waf-rules` and hands it the source on standard input, so that a rule file
/// that crashes libmodsecurity (known: a TAB behind SecAuditLog and others) becomes an error naming the file. Needs no
/// fork of this process' memory: posix_spawn, safe with threads. The child has 60 s.
[[nodiscard]] RuleSetValidator spawned_validator(std::string executable = "/proc/self/exe");

/// The argument that main() must answer by returning check_rules_main().
inline constexpr std::string_view kCheckRulesArgument = "--check-waf-rules";

/// Body of the validating child: reads a source from standard input, loads it, writes the error if any to standard
/// output. Returns the exit status: 0 good, 1 refused, 2 the input was not understood.
[[nodiscard]] int check_rules_main();

}  // namespace gatehouse::waf
