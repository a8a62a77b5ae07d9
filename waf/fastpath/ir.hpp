// The rules as the fast path sees them: plain data that the reader writes, the folder reduces and the scanner
// evaluates. Nothing here knows libmodsecurity; names and meanings are those of its version 3.0.9.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::waf::fastpath {

/// Whether a variable is one value that always exists or a collection of named values that may be empty.
enum class VariableShape : std::uint8_t { scalar, collection };

// clang-format off
// X(enumerator, SecLang name, shape)
#define GATEHOUSE_WAF_VARIABLES(X)                                             \
  X(args,                             "ARGS",                             collection) \
  X(args_combined_size,               "ARGS_COMBINED_SIZE",               scalar)     \
  X(args_get,                         "ARGS_GET",                         collection) \
  X(args_get_names,                   "ARGS_GET_NAMES",                   collection) \
  X(args_names,                       "ARGS_NAMES",                       collection) \
  X(args_post,                        "ARGS_POST",                        collection) \
  X(args_post_names,                  "ARGS_POST_NAMES",                  collection) \
  X(auth_type,                        "AUTH_TYPE",                        scalar)     \
  X(duration,                         "DURATION",                         scalar)     \
  X(env,                              "ENV",                              collection) \
  X(files,                            "FILES",                            collection) \
  X(files_combined_size,              "FILES_COMBINED_SIZE",              scalar)     \
  X(files_names,                      "FILES_NAMES",                      collection) \
  X(files_sizes,                      "FILES_SIZES",                      collection) \
  X(files_tmp_content,                "FILES_TMP_CONTENT",                collection) \
  X(files_tmp_names,                  "FILES_TMPNAMES",                   collection) \
  X(full_request,                     "FULL_REQUEST",                     scalar)     \
  X(full_request_length,              "FULL_REQUEST_LENGTH",              scalar)     \
  X(geo,                              "GEO",                              collection) \
  X(global,                           "GLOBAL",                           collection) \
  X(highest_severity,                 "HIGHEST_SEVERITY",                 scalar)     \
  X(inbound_data_error,               "INBOUND_DATA_ERROR",               scalar)     \
  X(ip,                               "IP",                               collection) \
  X(matched_var,                      "MATCHED_VAR",                      scalar)     \
  X(matched_var_name,                 "MATCHED_VAR_NAME",                 scalar)     \
  X(matched_vars,                     "MATCHED_VARS",                     collection) \
  X(matched_vars_names,               "MATCHED_VARS_NAMES",               collection) \
  X(modsec_build,                     "MODSEC_BUILD",                     scalar)     \
  X(multipart_boundary_quoted,        "MULTIPART_BOUNDARY_QUOTED",        scalar)     \
  X(multipart_boundary_whitespace,    "MULTIPART_BOUNDARY_WHITESPACE",    scalar)     \
  X(multipart_crlf_lf_lines,          "MULTIPART_CRLF_LF_LINES",          scalar)     \
  X(multipart_data_after,             "MULTIPART_DATA_AFTER",             scalar)     \
  X(multipart_data_before,            "MULTIPART_DATA_BEFORE",            scalar)     \
  X(multipart_file_limit_exceeded,    "MULTIPART_FILE_LIMIT_EXCEEDED",    scalar)     \
  X(multipart_filename,               "MULTIPART_FILENAME",               collection) \
  X(multipart_header_folding,         "MULTIPART_HEADER_FOLDING",         scalar)     \
  X(multipart_invalid_header_folding, "MULTIPART_INVALID_HEADER_FOLDING", scalar)     \
  X(multipart_invalid_part,           "MULTIPART_INVALID_PART",           scalar)     \
  X(multipart_invalid_quoting,        "MULTIPART_INVALID_QUOTING",        scalar)     \
  X(multipart_lf_line,                "MULTIPART_LF_LINE",                scalar)     \
  X(multipart_missing_semicolon,      "MULTIPART_MISSING_SEMICOLON",      scalar)     \
  X(multipart_name,                   "MULTIPART_NAME",                   collection) \
  X(multipart_part_headers,           "MULTIPART_PART_HEADERS",           collection) \
  X(multipart_semicolon_missing,      "MULTIPART_SEMICOLON_MISSING",      scalar)     \
  X(multipart_strict_error,           "MULTIPART_STRICT_ERROR",           scalar)     \
  X(multipart_unmatched_boundary,     "MULTIPART_UNMATCHED_BOUNDARY",     scalar)     \
  X(outbound_data_error,              "OUTBOUND_DATA_ERROR",              scalar)     \
  X(path_info,                        "PATH_INFO",                        scalar)     \
  X(query_string,                     "QUERY_STRING",                     scalar)     \
  X(remote_addr,                      "REMOTE_ADDR",                      scalar)     \
  X(remote_host,                      "REMOTE_HOST",                      scalar)     \
  X(remote_port,                      "REMOTE_PORT",                      scalar)     \
  X(remote_user,                      "REMOTE_USER",                      scalar)     \
  X(reqbody_error,                    "REQBODY_ERROR",                    scalar)     \
  X(reqbody_error_msg,                "REQBODY_ERROR_MSG",                scalar)     \
  X(reqbody_processor,                "REQBODY_PROCESSOR",                scalar)     \
  X(reqbody_processor_error,          "REQBODY_PROCESSOR_ERROR",          scalar)     \
  X(reqbody_processor_error_msg,      "REQBODY_PROCESSOR_ERROR_MSG",      scalar)     \
  X(request_basename,                 "REQUEST_BASENAME",                 scalar)     \
  X(request_body,                     "REQUEST_BODY",                     scalar)     \
  X(request_body_length,              "REQUEST_BODY_LENGTH",              scalar)     \
  X(request_cookies,                  "REQUEST_COOKIES",                  collection) \
  X(request_cookies_names,            "REQUEST_COOKIES_NAMES",            collection) \
  X(request_filename,                 "REQUEST_FILENAME",                 scalar)     \
  X(request_headers,                  "REQUEST_HEADERS",                  collection) \
  X(request_headers_names,            "REQUEST_HEADERS_NAMES",            collection) \
  X(request_line,                     "REQUEST_LINE",                     scalar)     \
  X(request_method,                   "REQUEST_METHOD",                   scalar)     \
  X(request_protocol,                 "REQUEST_PROTOCOL",                 scalar)     \
  X(request_uri,                      "REQUEST_URI",                      scalar)     \
  X(request_uri_raw,                  "REQUEST_URI_RAW",                  scalar)     \
  X(resource,                         "RESOURCE",                         collection) \
  X(response_body,                    "RESPONSE_BODY",                    scalar)     \
  X(response_content_length,          "RESPONSE_CONTENT_LENGTH",          scalar)     \
  X(response_content_type,            "RESPONSE_CONTENT_TYPE",            scalar)     \
  X(response_headers,                 "RESPONSE_HEADERS",                 collection) \
  X(response_headers_names,           "RESPONSE_HEADERS_NAMES",           collection) \
  X(response_protocol,                "RESPONSE_PROTOCOL",                scalar)     \
  X(response_status,                  "RESPONSE_STATUS",                  scalar)     \
  X(rule,                             "RULE",                             collection) \
  X(server_addr,                      "SERVER_ADDR",                      scalar)     \
  X(server_name,                      "SERVER_NAME",                      scalar)     \
  X(server_port,                      "SERVER_PORT",                      scalar)     \
  X(session,                          "SESSION",                          collection) \
  X(session_id,                       "SESSIONID",                        scalar)     \
  X(status,                           "STATUS",                           scalar)     \
  X(status_line,                      "STATUS_LINE",                      scalar)     \
  X(time,                             "TIME",                             scalar)     \
  X(time_day,                         "TIME_DAY",                         scalar)     \
  X(time_epoch,                       "TIME_EPOCH",                       scalar)     \
  X(time_hour,                        "TIME_HOUR",                        scalar)     \
  X(time_min,                         "TIME_MIN",                         scalar)     \
  X(time_mon,                         "TIME_MON",                         scalar)     \
  X(time_sec,                         "TIME_SEC",                         scalar)     \
  X(time_wday,                        "TIME_WDAY",                        scalar)     \
  X(time_year,                        "TIME_YEAR",                        scalar)     \
  X(tx,                               "TX",                               collection) \
  X(unique_id,                        "UNIQUE_ID",                        scalar)     \
  X(url_encoded_error,                "URLENCODED_ERROR",                 scalar)     \
  X(user,                             "USER",                             collection) \
  X(user_id,                          "USERID",                           scalar)     \
  X(web_app_id,                       "WEBAPPID",                         scalar)     \
  X(webserver_error_log,              "WEBSERVER_ERROR_LOG",              scalar)     \
  X(xml,                              "XML",                              collection)

// X(enumerator, SecLang name without "t:")
#define GATEHOUSE_WAF_TRANSFORMATIONS(X)           \
  X(none,                "none")                   \
  X(base64_decode,       "base64Decode")           \
  X(base64_decode_ext,   "base64DecodeExt")        \
  X(base64_encode,       "base64Encode")           \
  X(cmd_line,            "cmdLine")                \
  X(compress_whitespace, "compressWhitespace")     \
  X(css_decode,          "cssDecode")              \
  X(escape_seq_decode,   "escapeSeqDecode")        \
  X(hex_decode,          "hexDecode")              \
  X(hex_encode,          "hexEncode")              \
  X(html_entity_decode,  "htmlEntityDecode")       \
  X(js_decode,           "jsDecode")               \
  X(length,              "length")                 \
  X(lowercase,           "lowercase")              \
  X(md5,                 "md5")                    \
  X(normalise_path,      "normalisePath")          \
  X(normalise_path_win,  "normalisePathWin")       \
  X(parity_even_7bit,    "parityEven7bit")         \
  X(parity_odd_7bit,     "parityOdd7bit")          \
  X(parity_zero_7bit,    "parityZero7bit")         \
  X(remove_comments,     "removeComments")         \
  X(remove_comments_char,"removeCommentsChar")     \
  X(remove_nulls,        "removeNulls")            \
  X(remove_whitespace,   "removeWhitespace")       \
  X(replace_comments,    "replaceComments")        \
  X(replace_nulls,       "replaceNulls")           \
  X(sha1,                "sha1")                   \
  X(sql_hex_decode,      "sqlHexDecode")           \
  X(trim,                "trim")                   \
  X(trim_left,           "trimLeft")               \
  X(trim_right,          "trimRight")              \
  X(uppercase,           "uppercase")              \
  X(url_decode,          "urlDecode")              \
  X(url_decode_uni,      "urlDecodeUni")           \
  X(url_encode,          "urlEncode")              \
  X(utf8_to_unicode,     "utf8toUnicode")

// X(enumerator, SecLang name without "@", name the library reports)
#define GATEHOUSE_WAF_OPERATORS(X)                                       \
  X(begins_with,            "beginsWith",            "BeginsWith")           \
  X(contains,               "contains",              "Contains")             \
  X(contains_word,          "containsWord",          "ContainsWord")         \
  X(detect_sqli,            "detectSQLi",            "DetectSQLi")           \
  X(detect_xss,             "detectXSS",             "DetectXSS")            \
  X(ends_with,              "endsWith",              "EndsWith")             \
  X(eq,                     "eq",                    "Eq")                   \
  X(fuzzy_hash,             "fuzzyHash",             "FuzzyHash")            \
  X(ge,                     "ge",                    "Ge")                   \
  X(geo_lookup,             "geoLookup",             "GeoLookup")            \
  X(gsb_lookup,             "gsbLookup",             "GsbLookup")            \
  X(gt,                     "gt",                    "Gt")                   \
  X(inspect_file,           "inspectFile",           "InspectFile")          \
  X(ip_match,               "ipMatch",               "IpMatch")              \
  X(ip_match_from_file,     "ipMatchFromFile",       "IpMatchFromFile")      \
  X(le,                     "le",                    "Le")                   \
  X(lt,                     "lt",                    "Lt")                   \
  X(pm,                     "pm",                    "Pm")                   \
  X(pm_from_file,           "pmFromFile",            "PmFromFile")           \
  X(rbl,                    "rbl",                   "Rbl")                  \
  X(rsub,                   "rsub",                  "Rsub")                 \
  X(rx,                     "rx",                    "Rx")                   \
  X(rx_global,              "rxGlobal",              "RxGlobal")             \
  X(str_eq,                 "streq",                 "StrEq")                \
  X(str_match,              "strmatch",              "StrMatch")             \
  X(unconditional_match,    "unconditionalMatch",    "UnconditionalMatch")   \
  X(validate_byte_range,    "validateByteRange",     "ValidateByteRange")    \
  X(validate_dtd,           "validateDTD",           "ValidateDTD")          \
  X(validate_hash,          "validateHash",          "ValidateHash")         \
  X(validate_schema,        "validateSchema",        "ValidateSchema")       \
  X(validate_url_encoding,  "validateUrlEncoding",   "ValidateUrlEncoding")  \
  X(validate_utf8_encoding, "validateUtf8Encoding",  "ValidateUtf8Encoding") \
  X(verify_cc,              "verifyCC",              "VerifyCC")             \
  X(verify_cpf,             "verifyCPF",             "VerifyCPF")            \
  X(verify_ssn,             "verifySSN",             "VerifySSN")            \
  X(verify_svnr,            "verifySVNR",            "VerifySVNR")           \
  X(within,                 "within",                "Within")

// X(enumerator, SecLang name)
#define GATEHOUSE_WAF_ACTIONS(X)                          \
  X(accuracy, "accuracy")                                 \
  X(allow, "allow")                                       \
  X(append, "append")                                     \
  X(audit_log, "auditlog")                                \
  X(block, "block")                                       \
  X(capture, "capture")                                   \
  X(chain, "chain")                                       \
  X(ctl, "ctl")                                           \
  X(deny, "deny")                                         \
  X(deprecate_var, "deprecatevar")                        \
  X(drop, "drop")                                         \
  X(exec, "exec")                                         \
  X(expire_var, "expirevar")                              \
  X(id, "id")                                             \
  X(initcol, "initcol")                                   \
  X(log, "log")                                           \
  X(logdata, "logdata")                                   \
  X(maturity, "maturity")                                 \
  X(msg, "msg")                                           \
  X(multi_match, "multiMatch")                            \
  X(no_audit_log, "noauditlog")                           \
  X(no_log, "nolog")                                      \
  X(pass, "pass")                                         \
  X(pause, "pause")                                       \
  X(phase, "phase")                                       \
  X(prepend, "prepend")                                   \
  X(proxy, "proxy")                                       \
  X(redirect, "redirect")                                 \
  X(rev, "rev")                                           \
  X(sanitise_arg, "sanitiseArg")                          \
  X(sanitise_matched, "sanitiseMatched")                  \
  X(sanitise_matched_bytes, "sanitiseMatchedBytes")       \
  X(sanitise_request_header, "sanitiseRequestHeader")     \
  X(sanitise_response_header, "sanitiseResponseHeader")   \
  X(setenv, "setenv")                                     \
  X(setrsc, "setrsc")                                     \
  X(setsid, "setsid")                                     \
  X(setuid, "setuid")                                     \
  X(setvar, "setvar")                                     \
  X(severity, "severity")                                 \
  X(skip, "skip")                                         \
  X(skip_after, "skipAfter")                              \
  X(status, "status")                                     \
  X(tag, "tag")                                           \
  X(ver, "ver")                                           \
  X(xmlns, "xmlns")
// clang-format on

#define GATEHOUSE_WAF_FIRST(name, ...) name,

/// A SecLang variable or collection.
enum class VariableKind : std::uint8_t { GATEHOUSE_WAF_VARIABLES(GATEHOUSE_WAF_FIRST) };
/// One step of a transformation chain.
enum class Transformation : std::uint8_t { GATEHOUSE_WAF_TRANSFORMATIONS(GATEHOUSE_WAF_FIRST) };
/// What is asked of a value.
enum class OperatorKind : std::uint8_t { GATEHOUSE_WAF_OPERATORS(GATEHOUSE_WAF_FIRST) };
/// What a rule says besides its condition; transformations are kept apart.
enum class ActionKind : std::uint8_t { GATEHOUSE_WAF_ACTIONS(GATEHOUSE_WAF_FIRST) };

#define GATEHOUSE_WAF_COUNT(...) +1  // NOLINT(bugprone-macro-parentheses): a sum is made of them
inline constexpr std::size_t variable_kind_count = 0 GATEHOUSE_WAF_VARIABLES(GATEHOUSE_WAF_COUNT);
inline constexpr std::size_t transformation_count = 0 GATEHOUSE_WAF_TRANSFORMATIONS(GATEHOUSE_WAF_COUNT);
inline constexpr std::size_t operator_kind_count = 0 GATEHOUSE_WAF_OPERATORS(GATEHOUSE_WAF_COUNT);
inline constexpr std::size_t action_kind_count = 0 GATEHOUSE_WAF_ACTIONS(GATEHOUSE_WAF_COUNT);
#undef GATEHOUSE_WAF_COUNT
#undef GATEHOUSE_WAF_FIRST

/// SecLang spelling of each enumerator: "ARGS", "urlDecodeUni", "rx", "skipAfter".
[[nodiscard]] std::string_view name(VariableKind kind) noexcept;
[[nodiscard]] std::string_view name(Transformation transformation) noexcept;
[[nodiscard]] std::string_view name(OperatorKind kind) noexcept;
[[nodiscard]] std::string_view name(ActionKind kind) noexcept;
[[nodiscard]] VariableShape shape(VariableKind kind) noexcept;
/// The operator's name as RuleWithOperator::getOperatorName() reports it ("Rx"), without the "!" of a negation.
[[nodiscard]] std::string_view library_name(OperatorKind kind) noexcept;

/// Where a directive stands.
struct Origin {
  std::string file;
  int line = 0;

  friend bool operator==(const Origin&, const Origin&) = default;
};

/// Which members of a collection a target names.
enum class SelectorKind : std::uint8_t {
  whole,  ///< "ARGS": every member
  exact,  ///< "ARGS:name"
  regex,  ///< "ARGS:/name/"
  xpath,  ///< "XML:/*"
  macro,  ///< "TX:%{x}": the name is known only at run time
};

/// One target of a rule: `ARGS`, `&REQUEST_HEADERS:Host`, `!REQUEST_COOKIES:/__utm/`.
struct Variable {
  VariableKind kind{};
  SelectorKind selector = SelectorKind::whole;
  std::string text;       ///< member name, regular expression without slashes, or XPath
  bool excluded = false;  ///< `!`: values this target names are not looked at by this rule
  bool counted = false;   ///< `&`: the value is the number of members

  friend bool operator==(const Variable&, const Variable&) = default;
};

/// A rule's condition.
struct Operator {
  OperatorKind kind{};
  bool negated = false;
  std::string parameter;   ///< as the library keeps it: macros unexpanded, escapes untouched
  bool has_macro = false;  ///< the parameter holds %{...}

  friend bool operator==(const Operator&, const Operator&) = default;
};

/// One action with its argument ("" for none): {setvar, "tx.score=+5"}, {ctl, "ruleRemoveById=1"}.
struct Action {
  ActionKind kind{};
  std::string argument;

  friend bool operator==(const Action&, const Action&) = default;
};

enum class RuleKind : std::uint8_t { rule, action, marker };

/// SecRule, SecAction or SecMarker. A chain is its head; every other link is in `chain`, in order.
struct Rule {
  RuleKind kind = RuleKind::rule;
  std::int64_t id = 0;
  int phase = 2;  ///< 1 request head, 2 request body, 3 response head, 4 response body, 5 logging; markers: every phase
  Origin origin;
  std::string marker;  ///< SecMarker's name

  std::vector<Variable> variables;              ///< rule only
  std::optional<Operator> op;                   ///< rule only
  std::vector<Transformation> transformations;  ///< effective: defaults merged, nothing up to the last t:none
  std::vector<Action> actions;                  ///< own actions in order, without transformations
  bool multi_match = false;                     ///< the operator sees every intermediate value that differs
  bool capture = false;                         ///< groups go to TX:0..9
  bool chained = false;                         ///< says `chain`: the next rule is its child
  std::vector<Rule> chain;                      ///< children of a head, first child first
};

/// SecDefaultAction of one phase; it holds for every rule of the phase, also for those that stand before it.
struct DefaultActions {
  std::vector<Action> actions;
  std::vector<Transformation> transformations;
};

/// What a SecRuleUpdateTargetBy* directive names rules by.
enum class UpdateKey : std::uint8_t { id, tag, message };

/// SecRuleUpdateTargetById / ByTag / ByMsg.
struct TargetUpdate {
  UpdateKey key{};
  std::string text;  ///< the id's digits, the tag or the message
  std::vector<Variable> variables;
  Origin origin;
};

/// Everything the rule files say that can change what a rule does. Body limits, modes, removals by id, tag and message
/// are read from the loaded library instead, which exposes them.
struct RuleList {
  std::vector<Rule> rules;                          ///< heads, actions and markers in file order
  std::array<DefaultActions, 6> default_actions{};  ///< by phase
  std::vector<TargetUpdate> target_updates;
  bool audits_everything = false;      ///< some SecAuditEngine says On: every request leaves a record
  std::vector<Origin> action_updates;  ///< SecRuleUpdateActionById: seen, not modelled
};

}  // namespace gatehouse::waf::fastpath
