#include "proxy/http/request_parser.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

// Parses `text` at once; the reason of failure, Reason::none if it is a whole head.
Reason outcome(const std::string& text, const ParseLimits& limits = {}) {
  RequestParser parser(limits);
  const ParseStatus status = parser.parse(text);
  EXPECT_NE(status, ParseStatus::incomplete) << text;
  return status == ParseStatus::failed ? parser.reason() : Reason::none;
}

std::string with_field(const std::string& line) { return "GET / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n\r\n"; }
std::string with_line(const std::string& line) { return line + "\r\nHost: a\r\n\r\n"; }

TEST(RequestParser, AHeadIsTakenApartWithoutCopying) {
  const std::string text =
      "POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nContent-Length:  3 \t\r\nX-Thing:\r\n\r\nabcGET";
  RequestParser parser;
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  const RequestHead& head = parser.head();
  EXPECT_EQ(head.method, Method::post);
  EXPECT_EQ(head.method_text, "POST");
  EXPECT_EQ(head.target, "/a?b=c");
  EXPECT_EQ(head.line, "POST /a?b=c HTTP/1.1");
  EXPECT_EQ(head.version, Version::http11);
  EXPECT_EQ(head.size, text.size() - 6);
  ASSERT_EQ(head.fields.size(), 3U);
  EXPECT_EQ(head.fields[0].id, FieldId::host);
  EXPECT_EQ(head.fields[1].value, "3");
  EXPECT_EQ(head.fields[2].name, "X-Thing");
  EXPECT_EQ(head.fields[2].value, "");
  EXPECT_EQ(head.target.data(), text.data() + 5);
}

TEST(RequestParser, ByteByByteInAMovingBufferGivesTheSameHead) {
  const std::string text = "\r\nGET /path HTTP/1.1\r\nHost: a.example\r\nX_Y: dropped\r\nUser-Agent: u\r\n\r\n";
  RequestParser parser;
  std::string buffer;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    std::string(text, 0, i + 1).swap(buffer);  // another allocation each time
    ASSERT_EQ(parser.parse(buffer), ParseStatus::incomplete) << i;
  }
  std::string whole = text;
  buffer.clear();
  buffer.shrink_to_fit();
  ASSERT_EQ(parser.parse(whole), ParseStatus::complete);
  EXPECT_EQ(parser.head().target, "/path");
  EXPECT_EQ(parser.head().line, "GET /path HTTP/1.1");
  EXPECT_EQ(parser.head().fields.find(FieldId::host)->value, "a.example");
  EXPECT_EQ(parser.head().fields.find(FieldId::user_agent)->value, "u");
  EXPECT_EQ(parser.head().dropped_name, "X_Y");
  EXPECT_EQ(parser.head().size, text.size());
}

TEST(RequestParser, PipelinedRequestsAreParsedOneAfterTheOther) {
  std::string text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
  std::string_view unread = text;
  RequestParser parser;
  ASSERT_EQ(parser.parse(unread), ParseStatus::complete);
  unread.remove_prefix(parser.head().size);
  parser.reset();
  EXPECT_FALSE(parser.started());
  ASSERT_EQ(parser.parse(unread), ParseStatus::complete);
  EXPECT_TRUE(parser.started());
  EXPECT_EQ(parser.head().target, "/2");
  EXPECT_EQ(parser.head().fields.size(), 1U);
}

TEST(RequestParser, ManyFieldsGrowTheList) {
  std::string text = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 150; ++i) text += "X-" + std::to_string(i) + ": " + std::to_string(i) + "\r\n";
  text += "\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  ASSERT_EQ(parser.head().fields.size(), 150U);
  EXPECT_EQ(parser.head().fields.find("x-149")->value, "149");
}

// Rows 11 and 17.
TEST(RequestParser, ControlBytesInAValueAre400) {
  for (const char c : std::string("\x01\x08\x0b\x0c\x1f\x7f", 6)) {
    EXPECT_EQ(outcome(with_field(std::string("Transfer-Encoding: chunked") + c)), Reason::bad_field) << int{c};
    EXPECT_EQ(outcome(with_field(std::string("X-Long-Enough-For-Words: aaaaaaaa") + c + "aaaaaaaaaaa")),
              Reason::bad_field);
  }
  EXPECT_EQ(outcome(with_field(std::string("X: a\0b", 6))), Reason::bad_field);
}

TEST(RequestParser, TabsAndEightBitBytesInAValueAreLegal) {
  RequestParser parser;
  const std::string text = with_field("X: a\tb\xc3\xa9");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().fields[1].value, "a\tb\xc3\xa9");
}

// Row 12.
TEST(RequestParser, WhitespaceBeforeTheColonIs400) {
  EXPECT_EQ(outcome(with_field("Transfer-Encoding : chunked")), Reason::bad_field);
  EXPECT_EQ(outcome(with_field("Transfer-Encoding\t: chunked")), Reason::bad_field);
}

// Row 14.
TEST(RequestParser, ObsFoldIs400) {
  EXPECT_EQ(outcome(with_field("X: a\r\n b")), Reason::bad_field);
  EXPECT_EQ(outcome(with_field("X: a\r\n\tb")), Reason::bad_field);
}

// Row 15.
TEST(RequestParser, WhitespaceBeforeTheFirstFieldIs400) {
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Reason::bad_field);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"), Reason::bad_field);
}

// Row 16.
TEST(RequestParser, BareCrInNameOrValueIs400) {
  EXPECT_EQ(outcome(with_field("X\rY: a")), Reason::bad_field);
  EXPECT_EQ(outcome(with_field("X: a\rb")), Reason::bad_field);
  EXPECT_EQ(outcome(with_field("X: a\r")), Reason::bad_field);
}

// Row 18.
TEST(RequestParser, BareLfEndingALineIs400) {
  EXPECT_EQ(outcome("GET / HTTP/1.1\nHost: a\r\n\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\n\r\n"), Reason::bad_field);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\n\n"), Reason::bad_field);
}

// Row 19.
TEST(RequestParser, AFieldWithoutColonOrNameIs400) {
  EXPECT_EQ(outcome(with_field("nonsense")), Reason::bad_field);
  EXPECT_EQ(outcome(with_field(": x")), Reason::bad_field);
}

// Row 20.
TEST(RequestParser, NonTokenBytesInANameAre400) {
  for (const char* name : {"a\"b", "a@b", "a b", "a\x80", "a(b", "a/b", "a[b]", "a{b}", "a=b", "a,b", "a;b"}) {
    EXPECT_EQ(outcome(with_field(std::string(name) + ": x")), Reason::bad_field) << name;
  }
}

// Row 25.
TEST(RequestParser, ExtraWhitespaceInTheRequestLineIs400) {
  EXPECT_EQ(outcome(with_line("GET  / HTTP/1.1")), Reason::bad_request_line);
  EXPECT_NE(outcome(with_line("GET /  HTTP/1.1")), Reason::none);
  EXPECT_NE(outcome(with_line("GET\t/ HTTP/1.1")), Reason::none);
  EXPECT_NE(outcome(with_line("GET /\tHTTP/1.1")), Reason::none);
  EXPECT_NE(outcome(with_line("GET / HTTP/1.1 ")), Reason::none);
  EXPECT_EQ(outcome(with_line(" GET / HTTP/1.1")), Reason::bad_request_line);
}

// Row 26.
TEST(RequestParser, Http09RequestIs400) {
  EXPECT_EQ(outcome("GET /\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("GET\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("GET / \r\n"), Reason::bad_version);
}

// Row 27.
TEST(RequestParser, Http2And3InTheRequestLineAre505) {
  EXPECT_EQ(outcome(with_line("GET / HTTP/2.0")), Reason::unsupported_version);
  EXPECT_EQ(outcome(with_line("GET / HTTP/3.0")), Reason::unsupported_version);
}

// Row 28.
TEST(RequestParser, MalformedVersionsAre400) {
  for (const char* version :
       {"http/1.1", "HTTP/1", "HTTP/01.1", "HTTP/1.", "HTTP/1.10", "HTTP/.1", "HTTP/1,1", "HTTP/0.9", "HTTP/a.1"}) {
    EXPECT_EQ(outcome(with_line(std::string("GET / ") + version)), Reason::bad_version) << version;
  }
}

// Row 29.
TEST(RequestParser, LaterMinorVersionsAreTreatedAs11) {
  RequestParser parser;
  const std::string text = with_line("GET / HTTP/1.2");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().version, Version::http11);
}

// Row 30.
TEST(RequestParser, TheHttp2PrefaceIs400) {
  EXPECT_EQ(outcome("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Reason::bad_request_line);
}

// Row 31.
TEST(RequestParser, LowerCaseAndNonTokenMethodsAre400) {
  for (const char* method : {"get", "Get", "G=T", "G@T", "GE\x80T", "G\"T"}) {
    EXPECT_EQ(outcome(with_line(std::string(method) + " / HTTP/1.1")), Reason::bad_method) << method;
  }
}

// Row 31.
TEST(RequestParser, UnknownUpperCaseMethodsAreParsed) {
  RequestParser parser;
  const std::string text = with_line("M-SEARCH / HTTP/1.1");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().method, Method::other);
  EXPECT_EQ(parser.head().method_text, "M-SEARCH");
}

// Rows 34 and 35.
TEST(RequestParser, RawControlSpaceEightBitAndFragmentInTheTargetAre400) {
  for (const char c : std::string("\x01\x09\x0b\x1f\x7f\x80\xff#", 8)) {
    EXPECT_EQ(outcome(with_line(std::string("GET /a") + c + "b HTTP/1.1")), Reason::bad_target) << int{c};
    EXPECT_EQ(outcome(with_line(std::string("GET /aaaaaaaaaaaaaaaa") + c + "bbbbbbbbbbbbbb HTTP/1.1")),
              Reason::bad_target);
  }
  EXPECT_EQ(outcome(with_line(std::string("GET /a\0b HTTP/1.1", 17))), Reason::bad_target);
  EXPECT_EQ(outcome(with_line("GET /a b HTTP/1.1")), Reason::bad_version);
}

// Row 39.
TEST(RequestParser, OneLeadingCrlfIsSkipped) {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().size, text.size());
}

// Row 39.
TEST(RequestParser, ASecondLeadingCrlfOrABlankLineIs400) {
  EXPECT_EQ(outcome("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("  \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Reason::bad_request_line);
  EXPECT_EQ(outcome("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Reason::bad_request_line);
}

// Row 57.
TEST(RequestParser, ARequestLineBeyond8kIs414) {
  const std::string fixed = "GET / HTTP/1.1\r\n";
  const auto line = [&](std::size_t size) { return "GET /" + std::string(size - fixed.size(), 'a') + " HTTP/1.1"; };
  EXPECT_EQ(outcome(with_line(line(8192))), Reason::none);
  EXPECT_EQ(outcome(with_line(line(8193))), Reason::target_too_long);
}

// Row 57.
TEST(RequestParser, AnEndlessRequestLineIs414BeforeItEnds) {
  RequestParser parser;
  std::string buffer = "GET /";
  ParseStatus status = ParseStatus::incomplete;
  for (; status == ParseStatus::incomplete && buffer.size() < 100000; buffer += 'a') status = parser.parse(buffer);
  EXPECT_EQ(status, ParseStatus::failed);
  EXPECT_EQ(parser.reason(), Reason::target_too_long);
  EXPECT_LE(buffer.size(), 8195U);
}

// Row 57.
TEST(RequestParser, AFieldLineBeyond8kIs431) {
  EXPECT_EQ(outcome(with_field("X: " + std::string(8187, 'a'))), Reason::none);
  EXPECT_EQ(outcome(with_field("X: " + std::string(8188, 'a'))), Reason::fields_too_large);
}

// Row 57.
TEST(RequestParser, AHeadBeyondFourBuffersIs431) {
  const std::string line = "X: " + std::string(8000, 'a') + "\r\n";
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n" + line + line + line + line + "\r\n"), Reason::none);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\n" + line + line + line + line + line + "\r\n"), Reason::fields_too_large);
}

// Row 57.
TEST(RequestParser, TooManyFieldsAre431EvenIfDropped) {
  const auto head = [](int fields, const std::string& name) {
    std::string text = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < fields; ++i) text += name + ": b\r\n";
    return text + "\r\n";
  };
  EXPECT_EQ(outcome(head(200, "a")), Reason::none);
  EXPECT_EQ(outcome(head(201, "a")), Reason::fields_too_large);
  EXPECT_EQ(outcome(head(201, "a_b")), Reason::fields_too_large);
}

// Row 58.
TEST(RequestParser, ATlsHelloIsRecognisedAtItsFirstByte) { EXPECT_EQ(outcome("\x16"), Reason::tls_on_plain_port); }

TEST(RequestParser, UnusualNamesAreDroppedByDefault) {
  RequestParser parser;
  const std::string text = with_field("X_Forwarded_For: 1.2.3.4\r\nX.Real.IP: 1.2.3.4\r\nX-Fine: 1");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().fields.size(), 2U);
  EXPECT_EQ(parser.head().dropped, 2U);
  EXPECT_EQ(parser.head().dropped_name, "X_Forwarded_For");
}

TEST(RequestParser, UnderscoresAreKeptIfConfigured) {
  ParseLimits limits;
  limits.underscores = Underscores::usual;
  RequestParser parser(limits);
  const std::string text = with_field("X_A: 1\r\nX.A: 1");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_NE(parser.head().fields.find("x_a"), nullptr);
  EXPECT_EQ(parser.head().dropped_name, "X.A");
}

TEST(RequestParser, UnusualNamesAreKeptOrRefusedByPolicy) {
  ParseLimits limits;
  limits.names = NamePolicy::refuse;
  EXPECT_EQ(outcome(with_field("X_A: 1"), limits), Reason::bad_field);
  limits.names = NamePolicy::keep;
  RequestParser parser(limits);
  const std::string text = with_field("X.A: 1\r\nX_A: 1");
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().fields.size(), 3U);
}

TEST(RequestParser, AFailureStaysAFailure) {
  RequestParser parser;
  EXPECT_EQ(parser.parse("G=T / HTTP/1.1\r\n"), ParseStatus::failed);
  EXPECT_EQ(parser.parse("G=T / HTTP/1.1\r\n\r\n"), ParseStatus::failed);
  EXPECT_EQ(parser.reason(), Reason::bad_method);
}

}  // namespace
}  // namespace gatehouse::http
