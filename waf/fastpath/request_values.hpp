// A request taken apart into libmodsecurity's variables, with its parsing semantics to the byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/json_arguments.hpp"
#include "waf/fastpath/member.hpp"
#include "waf/fastpath/multipart_form.hpp"
#include "waf/fastpath/scratch.hpp"
#include "waf/transaction_input.hpp"

namespace gatehouse::waf::fastpath {

/// Whether the library writes uploaded files to disk (SecUploadKeepFiles, SecTmpSaveUploadedFiles, @inspectFile).
enum class Uploads : std::uint8_t { discarded, stored };

/// What of a rule set's configuration decides how a request is taken apart.
struct ParserSettings {
  char argument_separator = '&';                 ///< SecArgumentSeparator
  std::optional<std::size_t> arguments_limit;    ///< SecArgumentsLimit
  std::optional<ByteCount> body_no_files_limit;  ///< SecRequestBodyNoFilesLimit
  std::size_t json_depth_limit = 10000;          ///< SecRequestBodyJsonDepthLimit
  Uploads uploads = Uploads::stored;             ///< stored: multipart bodies are left to the library
};

/// How a body is parsed. Content-Type chooses among the first, rules (ctl:requestBodyProcessor) may choose others.
enum class BodyParser : std::uint8_t { none, urlencoded, multipart, json, xml };

/// What taking a request apart ended in.
enum class ParseOutcome : std::uint8_t {
  parsed,      ///< every supported variable has the library's value
  unmodelled,  ///< a form that only the library parses, or a body it would call broken: take the full path
};

/// Members of ARGS by where they came from; those of `other` are in no collection besides.
enum class ArgumentPart : std::uint8_t { all, query, body, other };

/// The values of one request. One per thread, reused: in steady state nothing is allocated.
///
/// Views point into the request's own memory or into the scratch; they are valid until either goes. Call parse_head(),
/// then choose_body_parser() for each matching ctl, then parse_body() (also for an empty body). Not modelled, hence
/// empty: FULL_REQUEST, XML and everything of the response; see models().
class RequestValues {
 public:
  explicit RequestValues(Scratch& scratch) : scratch_(&scratch), json_(scratch) {}

  /// Connection, request line and header phases. A NUL in the target, method or version is unmodelled (the library's
  /// interface ends there).
  ParseOutcome parse_head(const RequestInput& input, const ParserSettings& settings);

  /// ctl:requestBodyProcessor of a rule that matched in phase 1.
  void choose_body_parser(BodyParser parser);
  /// The parser parse_body() will use.
  [[nodiscard]] BodyParser body_parser() const noexcept;

  /// Request body phase. `body` is what the library was given in all.
  ParseOutcome parse_body(std::string_view body);

  /// True when this class gives `kind` the library's value; of others it gives nothing.
  [[nodiscard]] static bool models(VariableKind kind) noexcept;

  /// A scalar's value; one the library never set is "" and is looked at as such.
  [[nodiscard]] std::string_view scalar(VariableKind kind) const noexcept {
    return scalars_[static_cast<std::size_t>(kind)];
  }

  /// The members of a collection. Of a *_NAMES collection the value is the name: use value_of().
  [[nodiscard]] std::span<const Member> members(VariableKind kind) const noexcept;

  /// The members of ARGS that came so.
  [[nodiscard]] std::span<const Member> arguments(ArgumentPart part) const noexcept;

  /// The value rules see of a member: its name for ARGS_NAMES, REQUEST_HEADERS_NAMES and the like.
  [[nodiscard]] static std::string_view value_of(VariableKind kind, const Member& member) noexcept;

  /// Arguments were dropped because of SecArgumentsLimit.
  [[nodiscard]] bool arguments_dropped() const noexcept { return dropped_; }

 private:
  void set(VariableKind kind, std::string_view value) { scalars_[static_cast<std::size_t>(kind)] = value; }
  [[nodiscard]] std::string_view number(std::uint64_t value);
  [[nodiscard]] std::string_view join(std::initializer_list<std::string_view> parts);
  void parse_target(std::string_view method, std::string_view target, std::string_view version);
  void parse_header(const HeaderView& header);
  void parse_cookies(std::string_view value);
  void parse_cookie(std::string_view pair);
  void parse_arguments(std::string_view text);
  std::string_view decode(std::string_view text);
  bool add_argument(std::string_view name, std::string_view value);
  void finish_arguments();
  ParseOutcome parse_json(std::string_view body);
  ParseOutcome parse_multipart(std::string_view body);

  Scratch* scratch_;
  ParserSettings settings_;
  std::array<std::string_view, variable_kind_count> scalars_{};
  std::vector<Member> headers_;
  std::vector<Member> cookies_;
  std::vector<Member> arguments_;
  std::size_t get_arguments_ = 0;   ///< the first so many of arguments_ came with the target
  std::size_t post_arguments_ = 0;  ///< so many after them came with an urlencoded body
  std::uint64_t combined_size_ = 0;
  std::uint64_t header_text_size_ = 0;
  BodyParser by_type_ = BodyParser::none;
  BodyParser by_rule_ = BodyParser::none;
  bool dropped_ = false;
  JsonArguments json_;
  MultipartForm multipart_;
};

/// The body as one text: itself if it is one segment, else joined in `scratch`. Nothing if it was spilled or truncated.
[[nodiscard]] std::optional<std::string_view> whole_body(const BodyView& body, Scratch& scratch);

}  // namespace gatehouse::waf::fastpath
