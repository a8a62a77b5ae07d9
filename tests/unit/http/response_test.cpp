#include <string>

#include <gtest/gtest.h>

#include "proxy/http/framing.hpp"
#include "proxy/http/response_parser.hpp"

namespace gatehouse::http {
namespace {

Reason outcome(const std::string& text, const ResponseParseLimits& limits = {}) {
  ResponseParser parser(limits);
  const ParseStatus status = parser.parse(text);
  EXPECT_NE(status, ParseStatus::incomplete) << text;
  return status == ParseStatus::failed ? parser.reason() : Reason::none;
}

Result<ResponseSemantics> interpreted(const std::string& text, Method method = Method::get) {
  ResponseParser parser;
  EXPECT_EQ(parser.parse(text), ParseStatus::complete) << text;
  return interpret_response(parser.head(), method);
}

Result<ResponseSemantics> answer(const std::string& status, const std::string& lines, Method method = Method::get) {
  return interpreted("HTTP/1.1 " + status + "\r\n" + lines + "\r\n\r\n", method);
}

TEST(ResponseParser, AHeadIsTakenApart) {
  ResponseParser parser;
  const std::string text = "HTTP/1.1 404 Not Found\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nbody";
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().status, 404);
  EXPECT_EQ(parser.head().reason, "Not Found");
  EXPECT_EQ(parser.head().fields.count(FieldId::set_cookie), 2U);
  EXPECT_EQ(parser.head().size, text.size() - 4);
}

TEST(ResponseParser, ByteByByteInAMovingBufferGivesTheSameHead) {
  const std::string text = "HTTP/1.0 200 Fine\r\nA: b\r\nContent-Type: c\r\n\r\n";
  ResponseParser parser;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string buffer(text, 0, i);
    ASSERT_EQ(parser.parse(buffer), ParseStatus::incomplete);
  }
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  EXPECT_EQ(parser.head().version, Version::http10);
  EXPECT_EQ(parser.head().reason, "Fine");
  EXPECT_EQ(parser.head().fields.find(FieldId::content_type)->value, "c");
}

TEST(ResponseParser, ReasonPhraseAndItsSpaceMayBeMissing) {
  EXPECT_EQ(outcome("HTTP/1.1 200\r\n\r\n"), Reason::none);
  EXPECT_EQ(outcome("HTTP/1.1 200 \r\n\r\n"), Reason::none);
  EXPECT_EQ(outcome("HTTP/1.1 999 Odd\r\n\r\n"), Reason::none);
}

TEST(ResponseParser, BareLfLineEndsAreAcceptedFromAnOrigin) {
  EXPECT_EQ(outcome("HTTP/1.1 200 OK\nA: b\n\n"), Reason::none);
}

TEST(ResponseParser, WhatIsNotHttp1Is502AtItsFirstWrongByte) {
  for (const char* text : {"SSH-2.0-x", "HTTP/2", "http/1.1 200 OK", "\x15\x03", "ICY 200", "\r\n"}) {
    EXPECT_EQ(outcome(text), Reason::upstream_invalid_head) << text;
  }
}

TEST(ResponseParser, MalformedStatusLinesAre502) {
  for (const char* line : {"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/1.1 099 OK",
                           "HTTP/1.1 2x0 OK", "HTTP/1.1200 OK", "HTTP/1.1 200 a\x01"}) {
    EXPECT_EQ(outcome(std::string(line) + "\r\n\r\n"), Reason::upstream_invalid_head) << line;
  }
}

// Row 63.
TEST(ResponseParser, ControlBytesObsFoldAndSpacedColonsAre502) {
  for (const std::string& line : {std::string("A: b\0c", 6), std::string("A: b\rc"), std::string("A: b\r\n c"),
                                  std::string("A : b"), std::string("A"), std::string(": b"), std::string("A B: c")}) {
    EXPECT_EQ(outcome("HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n"), Reason::upstream_invalid_head) << line;
  }
}

// Row 63.
TEST(ResponseParser, AHeadBeyondTheBufferIs502) {
  EXPECT_EQ(outcome("HTTP/1.1 200 OK\r\nA: " + std::string(16384, 'a')), Reason::upstream_head_too_large);
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 1001; ++i) many += "A: b\r\n";
  EXPECT_EQ(outcome(many + "\r\n"), Reason::upstream_head_too_large);
}

TEST(ResponseFraming, FollowsLengthCodingOrClose) {
  EXPECT_EQ(answer("200 OK", "Content-Length: 7")->framing, (BodyFraming{BodyKind::length, 7, true}));
  EXPECT_EQ(answer("200 OK", "Content-Length: 7")->after, AfterMessage::keep);
  EXPECT_EQ(answer("200 OK", "Transfer-Encoding: chunked")->framing.kind, BodyKind::chunked);
  EXPECT_EQ(answer("200 OK", "A: b")->framing.kind, BodyKind::until_close);
  EXPECT_EQ(answer("200 OK", "A: b")->after, AfterMessage::close);
}

// Row 63.
TEST(ResponseFraming, AmbiguousOrBrokenFramingIs502) {
  for (const char* lines :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5", "Content-Length: x", "Content-Length:", "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"}) {
    const Result<ResponseSemantics> result = answer("200 OK", lines);
    ASSERT_FALSE(result.has_value()) << lines;
    EXPECT_EQ(result.error().reason, Reason::upstream_bad_framing);
  }
}

TEST(ResponseFraming, HeadAndNotModifiedHaveNoBodyButKeepTheLength) {
  const auto head = answer("200 OK", "Content-Length: 7", Method::head);
  EXPECT_EQ(head->framing, (BodyFraming{BodyKind::none, 7, true}));
  EXPECT_EQ(head->after, AfterMessage::keep);
  EXPECT_EQ(answer("304 Not Modified", "Content-Length: 7")->framing.kind, BodyKind::none);
  EXPECT_EQ(answer("304 Not Modified", "A: b")->after, AfterMessage::keep);
}

// Row 65.
TEST(ResponseFraming, ABodyAnnouncedWhereThereIsNoneCostsTheConnection) {
  const auto quiet = answer("204 No Content", "Content-Length: 0");
  EXPECT_EQ(quiet->framing.kind, BodyKind::none);
  EXPECT_EQ(quiet->after, AfterMessage::keep);
  EXPECT_EQ(answer("204 No Content", "Content-Length: 3")->framing.kind, BodyKind::none);
  EXPECT_EQ(answer("204 No Content", "Content-Length: 3")->after, AfterMessage::close);
  EXPECT_EQ(answer("204 No Content", "Transfer-Encoding: chunked")->after, AfterMessage::close);
}

// Row 65.
TEST(ResponseFraming, InterimResponsesAndTunnelsAreToldApart) {
  EXPECT_TRUE(answer("103 Early Hints", "A: b")->interim);
  EXPECT_EQ(answer("100 Continue", "A: b")->after, AfterMessage::keep);
  EXPECT_TRUE(answer("101 Switching Protocols", "Upgrade: websocket")->tunnel);
  EXPECT_FALSE(answer("101 Switching Protocols", "Upgrade: websocket")->interim);
  EXPECT_FALSE(answer("200 OK", "A: b")->tunnel);
}

TEST(ResponseFraming, NominatedFieldsAreHopByHopUnlessProtected) {
  ResponseParser parser;
  const std::string text = "HTTP/1.1 200 OK\r\nConnection: X-Mine, Set-Cookie\r\nX-Mine: 1\r\nSet-Cookie: a\r\n\r\n";
  ASSERT_EQ(parser.parse(text), ParseStatus::complete);
  const Fields& fields = parser.head().fields;
  const Result<ResponseSemantics> meaning = interpret_response(parser.head(), Method::get);
  ASSERT_TRUE(meaning->names_fields);
  EXPECT_TRUE(is_hop_by_hop(*meaning, fields, *fields.find("x-mine")));
  EXPECT_FALSE(is_hop_by_hop(*meaning, fields, *fields.find(FieldId::set_cookie)));
  EXPECT_TRUE(is_hop_by_hop(fields, *fields.find("x-mine")));
  EXPECT_FALSE(is_hop_by_hop(fields, *fields.find(FieldId::set_cookie)));
  EXPECT_FALSE(answer("200 OK", "Connection: keep-alive, Upgrade")->names_fields);
}

TEST(ResponseFraming, Http10KeepsTheConnectionOnlyIfItSaysSo) {
  EXPECT_EQ(interpreted("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n")->after, AfterMessage::close);
  EXPECT_EQ(interpreted("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n")->after,
            AfterMessage::keep);
  const auto coded = interpreted("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(coded->framing.kind, BodyKind::chunked);
  EXPECT_EQ(coded->after, AfterMessage::close);
}

}  // namespace
}  // namespace gatehouse::http
