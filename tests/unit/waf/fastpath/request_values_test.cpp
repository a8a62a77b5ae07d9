// Layer 4: every modelled variable against the public members of a libmodsecurity transaction, on mutated requests.
#include "waf/fastpath/request_values.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <gtest/gtest.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "tests/unit/waf/fastpath/library.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::printable;
using Kind = VariableKind;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// A request with its own memory.
struct Request {
  std::string method = "GET";
  std::string uri = "/";
  std::string version = "1.1";
  Pairs headers;
  std::string body;
  BodyParser rule = BodyParser::none;  ///< what a ctl chose
};

constexpr std::size_t argument_limit = 20;
constexpr std::size_t json_depth = 12;

class Library {
 public:
  Library() {
    const std::string text = "SecRuleEngine On\nSecRequestBodyAccess On\nSecArgumentsLimit " +
                             std::to_string(argument_limit) + "\nSecRequestBodyJsonDepthLimit " +
                             std::to_string(json_depth) + "\nSecRequestBodyNoFilesLimit 4000\n";
    EXPECT_GE(rules_.load(text.c_str()), 0) << rules_.getParserError();
  }

  std::unique_ptr<modsecurity::Transaction> run(const Request& request) {
    auto transaction = std::make_unique<modsecurity::Transaction>(&engine_, &rules_, nullptr);
    transaction->processConnection("192.0.2.1", 4711, "198.51.100.2", 443);
    transaction->processURI(request.uri.c_str(), request.method.c_str(), request.version.c_str());
    for (const auto& [name, value] : request.headers) transaction->addRequestHeader(name, value);
    transaction->processRequestHeaders();
    if (request.rule == BodyParser::json) {
      transaction->m_requestBodyProcessor = modsecurity::Transaction::JSONRequestBody;
      transaction->m_variableReqbodyProcessor.set("JSON", transaction->m_variableOffset);
    } else if (request.rule == BodyParser::urlencoded) {
      transaction->m_requestBodyType = modsecurity::Transaction::WWWFormUrlEncoded;
      transaction->m_variableReqbodyProcessor.set("URLENCODED", transaction->m_variableOffset);
    }
    if (!request.body.empty()) {
      transaction->appendRequestBody(reinterpret_cast<const unsigned char*>(request.body.data()), request.body.size());
    }
    transaction->processRequestBody();
    return transaction;
  }

 private:
  modsecurity::ModSecurity engine_;
  modsecurity::RulesSet rules_;
};

struct Scalar {
  Kind kind;
  modsecurity::AnchoredVariable modsecurity::TransactionAnchoredVariables::* member;
};

const std::vector<Scalar>& scalars() {
  using T = modsecurity::TransactionAnchoredVariables;
  static const std::vector<Scalar> list{
      {Kind::args_combined_size, &T::m_variableARGScombinedSize},
      {Kind::auth_type, &T::m_variableAuthType},
      {Kind::full_request_length, &T::m_variableFullRequestLength},
      {Kind::inbound_data_error, &T::m_variableInboundDataError},
      {Kind::path_info, &T::m_variablePathInfo},
      {Kind::query_string, &T::m_variableQueryString},
      {Kind::remote_addr, &T::m_variableRemoteAddr},
      {Kind::remote_host, &T::m_variableRemoteHost},
      {Kind::remote_port, &T::m_variableRemotePort},
      {Kind::reqbody_error, &T::m_variableReqbodyError},
      {Kind::reqbody_error_msg, &T::m_variableReqbodyErrorMsg},
      {Kind::reqbody_processor, &T::m_variableReqbodyProcessor},
      {Kind::reqbody_processor_error, &T::m_variableReqbodyProcessorError},
      {Kind::reqbody_processor_error_msg, &T::m_variableReqbodyProcessorErrorMsg},
      {Kind::request_basename, &T::m_variableRequestBasename},
      {Kind::request_body, &T::m_variableRequestBody},
      {Kind::request_body_length, &T::m_variableRequestBodyLength},
      {Kind::request_filename, &T::m_variableRequestFilename},
      {Kind::request_line, &T::m_variableRequestLine},
      {Kind::request_method, &T::m_variableRequestMethod},
      {Kind::request_protocol, &T::m_variableRequestProtocol},
      {Kind::request_uri, &T::m_variableRequestURI},
      {Kind::request_uri_raw, &T::m_variableRequestURIRaw},
      {Kind::server_addr, &T::m_variableServerAddr},
      {Kind::server_name, &T::m_variableServerName},
      {Kind::server_port, &T::m_variableServerPort},
      {Kind::url_encoded_error, &T::m_variableUrlEncodedError},
      {Kind::files_combined_size, &T::m_variableFilesCombinedSize},
      {Kind::multipart_boundary_quoted, &T::m_variableMultipartBoundaryQuoted},
      {Kind::multipart_boundary_whitespace, &T::m_variableMultipartBoundaryWhiteSpace},
      {Kind::multipart_crlf_lf_lines, &T::m_variableMultipartCrlfLFLines},
      {Kind::multipart_data_after, &T::m_variableMultipartDataAfter},
      {Kind::multipart_data_before, &T::m_variableMultipartDataBefore},
      {Kind::multipart_file_limit_exceeded, &T::m_variableMultipartFileLimitExceeded},
      {Kind::multipart_header_folding, &T::m_variableMultipartHeaderFolding},
      {Kind::multipart_invalid_header_folding, &T::m_variableMultipartInvalidHeaderFolding},
      {Kind::multipart_invalid_part, &T::m_variableMultipartInvalidPart},
      {Kind::multipart_invalid_quoting, &T::m_variableMultipartInvalidQuoting},
      {Kind::multipart_lf_line, &T::m_variableMultipartLFLine},
      {Kind::multipart_missing_semicolon, &T::m_variableMultipartMissingSemicolon},
      {Kind::multipart_strict_error, &T::m_variableMultipartStrictError},
      {Kind::multipart_unmatched_boundary, &T::m_variableMultipartUnmatchedBoundary},
  };
  return list;
}

/// Name and value of every member, sorted: the library's order is that of a hash table.
Pairs library_members(modsecurity::Transaction& transaction, Kind kind) {
  std::vector<const modsecurity::VariableValue*> values;
  switch (kind) {
    case Kind::args: transaction.m_variableArgs.resolve(&values); break;
    case Kind::args_names: transaction.m_variableArgsNames.resolve(&values); break;
    case Kind::args_get: transaction.m_variableArgsGet.resolve(&values); break;
    case Kind::args_get_names: transaction.m_variableArgsGetNames.resolve(&values); break;
    case Kind::args_post: transaction.m_variableArgsPost.resolve(&values); break;
    case Kind::args_post_names: transaction.m_variableArgsPostNames.resolve(&values); break;
    case Kind::request_cookies: transaction.m_variableRequestCookies.resolve(&values); break;
    case Kind::request_cookies_names: transaction.m_variableRequestCookiesNames.resolve(&values); break;
    case Kind::request_headers: transaction.m_variableRequestHeaders.resolve(&values); break;
    case Kind::request_headers_names: transaction.m_variableRequestHeadersNames.resolve(&values); break;
    case Kind::files: transaction.m_variableFiles.resolve(&values); break;
    case Kind::files_names: transaction.m_variableFilesNames.resolve(&values); break;
    case Kind::files_sizes: transaction.m_variableFilesSizes.resolve(&values); break;
    case Kind::files_tmp_content: transaction.m_variableFilesTmpContent.resolve(&values); break;
    case Kind::files_tmp_names: transaction.m_variableFilesTmpNames.resolve(&values); break;
    case Kind::multipart_filename: transaction.m_variableMultipartFileName.resolve(&values); break;
    case Kind::multipart_name: transaction.m_variableMultipartName.resolve(&values); break;
    case Kind::multipart_part_headers: transaction.m_variableMultipartPartHeaders.resolve(&values); break;
    default: ADD_FAILURE() << "not a modelled collection: " << name(kind);
  }
  Pairs pairs;
  for (const modsecurity::VariableValue* value : values) {
    pairs.emplace_back(value->getKey(), value->getValue());
    delete value;
  }
  std::ranges::sort(pairs);
  return pairs;
}

Pairs native_members(const RequestValues& values, Kind kind) {
  Pairs pairs;
  for (const Member& member : values.members(kind)) {
    pairs.emplace_back(std::string(member.name), std::string(RequestValues::value_of(kind, member)));
  }
  std::ranges::sort(pairs);
  return pairs;
}

std::string describe(const Request& request) {
  std::string text = request.method + " " + request.uri + " " + request.version + "\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\n";
  return printable(text + "\n" + request.body);
}

/// One native parser and one library, compared request by request.
class Comparison {
 public:
  enum class Result { equal, unmodelled };

  Result run(const Request& request) {
    scratch_.reset();
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : request.headers) headers.push_back({name, value});
    const std::string_view body = request.body;
    const RequestInput input{.client = {"192.0.2.1", 4711},
                             .server = {"198.51.100.2", 443},
                             .method = request.method,
                             .uri = request.uri,
                             .version = request.version,
                             .headers = headers,
                             .body = {.segments = {&body, 1}, .spill_path = {}, .truncated = false},
                             .unique_id = {}};
    const ParserSettings settings{.argument_separator = '&',
                                  .arguments_limit = argument_limit,
                                  .body_no_files_limit = 4000,
                                  .json_depth_limit = json_depth,
                                  .uploads = Uploads::discarded};
    if (values_.parse_head(input, settings) != ParseOutcome::parsed) return Result::unmodelled;
    if (request.rule != BodyParser::none) values_.choose_body_parser(request.rule);
    const auto whole = whole_body(input.body, scratch_);
    if (!whole || values_.parse_body(*whole) != ParseOutcome::parsed) return Result::unmodelled;
    compare(request);
    return Result::equal;
  }

  std::unique_ptr<modsecurity::Transaction> library(const Request& request) { return library_.run(request); }
  const RequestValues& values() const { return values_; }

 private:
  void compare(const Request& request) {
    const auto transaction = library_.run(request);
    for (const Scalar& scalar : scalars()) {
      ASSERT_TRUE(RequestValues::models(scalar.kind)) << name(scalar.kind);
      const std::string& expected = ((*transaction).*(scalar.member)).m_value;
      ASSERT_EQ(printable(values_.scalar(scalar.kind)), printable(expected)) << name(scalar.kind) << " of\n"
                                                                             << describe(request);
    }
    for (std::size_t i = 0; i < variable_kind_count; ++i) {
      const auto kind = static_cast<Kind>(i);
      if (shape(kind) != VariableShape::collection || !RequestValues::models(kind)) continue;
      ASSERT_EQ(native_members(values_, kind), library_members(*transaction, kind)) << name(kind) << " of\n"
                                                                                    << describe(request);
    }
  }

  Library library_;
  Scratch scratch_;
  RequestValues values_{scratch_};
};

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> list{
      "a",           "b",     "name", "1",    "=",      "&",  ";",  " ",        "+",    "%",  "%20", "%3F",
      "%3f",         "%2F",   "%00",  "%zz",  "%u0041", "?",  "#",  "/",        "//",   ":",  "\\",  "..",
      "http://host", "http:", "a:b",  ".php", "\t",     "\r", "\n", "\xc3\xa9", "\xff", "==", "&&",  ";;",
      "=;",          "@",     "[",    "]",    "{",      "}",  "\"", ",",        "null"};
  return list;
}

std::string json_value(Inputs& random, int depth) {
  static const std::vector<std::string> leaves{"1",
                                               "-2.5e3",
                                               "true",
                                               "false",
                                               "null",
                                               "\"\"",
                                               "\"text\"",
                                               "\"a\\u0041\\n\\\"b\"",
                                               "\"\xc3\xa9\"",
                                               "\"\\ud83d\\ude00\""};
  static const std::vector<std::string> keys{"\"a\"", "\"\"", "\"b.c\"", "\"\\u00e9\"", "\"array_0\""};
  const std::uint32_t choice = depth <= 0 ? 0 : random.below(4);
  if (choice < 2) return leaves[random.below(static_cast<std::uint32_t>(leaves.size()))];
  std::string text = choice == 2 ? "[" : "{";
  const std::uint32_t count = random.below(4);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) text += random.below(4) == 0 ? " , " : ",";
    if (choice == 3) text += keys[random.below(static_cast<std::uint32_t>(keys.size()))] + ":";
    text += json_value(random, depth - 1);
  }
  return text + (choice == 2 ? "]" : "}");
}

Request random_request(Inputs& random) {
  static const std::vector<std::string> names{
      "Host",       "cookie", "Cookie", "COOKIE", "Content-Type", "content-type", "Authorization",
      "User-Agent", "X-A",    "x-a",    ""};
  static const std::vector<std::string> types{"application/x-www-form-urlencoded",
                                              "application/X-WWW-form-urlencoded; charset=utf-8",
                                              "multipart/form-data; boundary=x",
                                              "application/json",
                                              "text/plain",
                                              ""};
  Request request;
  static const std::vector<std::string> methods{"GET", "POST", "PUT", "", "G T"};
  request.method = methods[random.below(static_cast<std::uint32_t>(methods.size()))];
  request.uri = (random.below(4) == 0 ? "" : "/") + random.from(fragments(), 6) +
                (random.below(2) == 0 ? "?" + random.from(fragments(), 12) : "");
  if (random.below(3) == 0) request.version = random.below(2) == 0 ? "1.0" : "2.0";
  for (std::uint32_t n = random.below(6); n > 0; --n) {
    const std::string& header = names[random.below(static_cast<std::uint32_t>(names.size()))];
    const bool type = header == "Content-Type" || header == "content-type";
    request.headers.emplace_back(
        header, type ? types[random.below(static_cast<std::uint32_t>(types.size()))] : random.from(fragments(), 8));
  }
  if (random.below(3) != 0) {
    request.rule = random.below(2) == 0   ? BodyParser::json
                   : random.below(4) == 0 ? BodyParser::urlencoded
                                          : BodyParser::none;
    request.body = request.rule == BodyParser::json ? json_value(random, 4) : random.from(fragments(), 20);
    if (random.below(5) == 0) request.body = random.mutate(request.body, fragments());
  }
  return request;
}

TEST(RequestValues, EqualTheLibrarysOnMutatedRequests) {
  // GATEHOUSE_DIFFERENTIAL_REQUESTS raises the number; a million takes some two minutes.
  const char* wanted = std::getenv("GATEHOUSE_DIFFERENTIAL_REQUESTS");
  const long requests = wanted != nullptr ? std::atol(wanted) : 20000;
  Inputs random(41);
  Comparison comparison;
  long equal = 0;
  for (long i = 0; i < requests && !::testing::Test::HasFailure(); ++i) {
    if (comparison.run(random_request(random)) == Comparison::Result::equal) ++equal;
  }
  EXPECT_GE(equal, requests * 7 / 10) << "too many requests were left to the library";
}

/// A body that is well formed, or nearly so: half of them get a small change.
Request random_multipart(Inputs& random) {
  static const std::vector<std::string> names{"a", "field name", "o'clock", "", "a;b", "<script>", "\xc3\xa9"};
  static const std::vector<std::string> contents{"",     "value",    "two\r\nlines", "three\n\nlines\r\n",   "-",
                                                 " --b", "\r",       "\n",           std::string("n\0l", 3), "--x",
                                                 "x--b", "\r\n\r\n", "%41+"};
  static const std::vector<std::string> pieces{"--b",
                                               "\r\n",
                                               "\n",
                                               "--",
                                               "\"",
                                               "'",
                                               "\\",
                                               ";",
                                               " ",
                                               ":",
                                               "a",
                                               "filename=\"x\"",
                                               "Content-Type: text/html\r\n",
                                               std::string(1, '\0'),
                                               "\t",
                                               "\r"};
  static const std::vector<std::string> types{"multipart/form-data; boundary=b",
                                              "multipart/form-data;boundary=b",
                                              "Multipart/Form-Data;  boundary=b",
                                              "multipart/form-data; boundary=\"b\"",
                                              "multipart/form-data",
                                              "multipart/form-data; boundary=b; charset=x",
                                              "multipart/form-data boundary=b"};
  const auto pick = [&](const std::vector<std::string>& list) {
    return list[random.below(static_cast<std::uint32_t>(list.size()))];
  };
  Request request;
  request.method = "POST";
  request.uri = "/?q=1&a=2";
  request.headers = {{"Host", "x"}, {"Content-Type", random.below(4) == 0 ? pick(types) : types[0]}};
  for (std::uint32_t n = 1 + random.below(3); n > 0; --n) {
    request.body += "--b\r\n";
    if (random.below(6) == 0) request.body += "X-Other: 1\r\n";
    request.body += (random.below(4) == 0 ? "content-disposition:form-data" : "Content-Disposition: form-data");
    request.body += "; name=\"" + (random.below(3) == 0 ? pick(names) : "a") + "\"";
    if (random.below(3) == 0) request.body += "; filename=\"" + pick(names) + "\"";
    if (random.below(3) == 0) request.body += "\r\nContent-Type: text/plain";
    request.body += "\r\n\r\n" + pick(contents) +
                    (random.below(40) == 0 ? std::string(4090 + random.below(10), 'x') + "\r\ny" : "") + "\r\n";
  }
  request.body += random.below(2) == 0 ? "--b--\r\n" : "--b--";
  if (random.below(2) == 0) request.body = random.mutate(request.body, pieces);
  return request;
}

TEST(RequestValues, EqualTheLibrarysOnMultipartBodies) {
  Inputs random(43);
  Comparison comparison;
  int equal = 0;
  for (int i = 0; i < 12000 && !::testing::Test::HasFailure(); ++i) {
    if (comparison.run(random_multipart(random)) == Comparison::Result::equal) ++equal;
  }
  EXPECT_GE(equal, 3000);
}

TEST(RequestValues, ProveAnUploadOfABrowser) {
  Comparison comparison;
  Request request;
  request.method = "POST";
  request.headers = {{"Content-Type", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"}};
  const std::string delimiter = "------WebKitFormBoundary7MA4YWxkTrZu0gW";
  request.body =
      delimiter + "\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHoliday\r\n" + delimiter +
      "\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"beach.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n" +
      std::string("\xff\xd8\xff\xe0\0\x10JFIF", 10) + "\r\n" + delimiter + "--\r\n";
  ASSERT_EQ(comparison.run(request), Comparison::Result::equal);
  EXPECT_EQ(native_members(comparison.values(), Kind::args_post), (Pairs{{"title", "Holiday"}}));
  EXPECT_EQ(native_members(comparison.values(), Kind::files), (Pairs{{"photo", "beach.jpg"}}));
  EXPECT_EQ(native_members(comparison.values(), Kind::files_sizes), (Pairs{{"photo", "10"}}));
}

TEST(RequestValues, NameJsonLeavesAsTheLibraryDoes) {
  Comparison comparison;
  Request request;
  request.method = "POST";
  request.rule = BodyParser::json;
  request.body = R"({"a":{"b":[1,{"c":true},[null]]},"":"x","d":{"":{"e":2}}})";
  ASSERT_EQ(comparison.run(request), Comparison::Result::equal);
  EXPECT_EQ(native_members(comparison.values(), Kind::args), (Pairs{{"json.a.b.array_0", "1"},
                                                                    {"json.a.b.array_1.c", "true"},
                                                                    {"json.a.b.array_2.array_0", ""},
                                                                    {"json.d.empty-key.e", "2"},
                                                                    {"json.empty-key", "x"}}));
}

TEST(RequestValues, LeaveToTheLibraryWhatItCallsBroken) {
  Comparison comparison;
  Request request;
  request.method = "POST";
  request.rule = BodyParser::json;
  for (const char* body : {"{", "{\"a\":}", "\"\xff\"", "[[[[[[[[[[[[[1]]]]]]]]]]]]]", "{} x", "nul"}) {
    request.body = body;
    EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled) << body;
    EXPECT_EQ(comparison.library(request)->m_variableReqbodyError.m_value, "1") << body;
  }
  request.rule = BodyParser::none;
  request.headers = {{"Content-Type", "multipart/form-data; boundary=b"}};
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = std::string(4001, 'a');
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
  request.uri = std::string("/a\0b", 4);
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
}

TEST(RequestValues, ASkippedCookieIsCaughtByTheComparison) {
  // The harness must be able to fail: the members without one cookie are not the library's.
  Comparison comparison;
  Request request;
  request.headers = {{"Cookie", "a=1; b=<script>; c"}};
  ASSERT_EQ(comparison.run(request), Comparison::Result::equal);
  Pairs faulty = native_members(comparison.values(), Kind::request_cookies);
  ASSERT_EQ(faulty.size(), 3u);
  faulty.pop_back();
  const auto transaction = comparison.library(request);
  EXPECT_NE(faulty, library_members(*transaction, Kind::request_cookies));
}

TEST(RequestValues, JoinABodyOfSeveralSegments) {
  Scratch scratch;
  const std::vector<std::string_view> segments{"ab", "", "cd"};
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = {}, .truncated = false}, scratch), "abcd");
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = "/tmp/x", .truncated = false}, scratch), std::nullopt);
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = {}, .truncated = true}, scratch), std::nullopt);
  EXPECT_EQ(whole_body({}, scratch), "");
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
