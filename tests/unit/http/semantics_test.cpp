#include "proxy/http/semantics.hpp"

#include <string>

#include <gtest/gtest.h>

#include "proxy/http/request_parser.hpp"

namespace gatehouse::http {
namespace {

// A request parsed and judged; keeps the text the views point into.
struct Judged {
  explicit Judged(std::string head_text) : text(std::move(head_text)) {
    EXPECT_EQ(parser.parse(text), ParseStatus::complete) << text;
    result = validate_request(parser.head());
  }
  Reason reason() const { return result ? Reason::none : result.error().reason; }

  std::string text;
  RequestParser parser;
  Result<RequestSemantics> result = Error{Reason::bug};
};

Judged post(const std::string& lines) { return Judged("POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n\r\n"); }
Judged get(const std::string& target, const std::string& lines = "Host: a") {
  return Judged("GET " + target + " HTTP/1.1\r\n" + lines + "\r\n\r\n");
}

TEST(RequestFraming, NoLengthMeansNoBody) { EXPECT_EQ(get("/").result->framing, BodyFraming{}); }

TEST(RequestFraming, AContentLengthIsABodyOfThatSize) {
  EXPECT_EQ(post("Content-Length: 5").result->framing, (BodyFraming{BodyKind::length, 5, true}));
  EXPECT_EQ(post("Content-Length: 0").result->framing, (BodyFraming{BodyKind::none, 0, true}));
  EXPECT_EQ(post("Content-Length: 9223372036854775807").result->framing.length, 9223372036854775807U);
}

TEST(RequestFraming, ChunkedIsCaseInsensitive) {
  EXPECT_EQ(post("Transfer-Encoding: Chunked").result->framing.kind, BodyKind::chunked);
}

// Row 1.
TEST(RequestFraming, ContentLengthBesideTransferEncodingIs400) {
  EXPECT_EQ(post("Content-Length: 5\r\nTransfer-Encoding: chunked").reason(), Reason::ambiguous_framing);
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\nContent-Length: 5").reason(), Reason::ambiguous_framing);
  EXPECT_EQ(post("Transfer-Encoding: identity\r\nContent-Length: 5").reason(), Reason::ambiguous_framing);
}

// Rows 2 and 3.
TEST(RequestFraming, RepeatedContentLengthIs400EvenIfEqual) {
  EXPECT_EQ(post("Content-Length: 5\r\nContent-Length: 6").reason(), Reason::bad_content_length);
  EXPECT_EQ(post("Content-Length: 5\r\nContent-Length: 5").reason(), Reason::bad_content_length);
  EXPECT_EQ(post("Content-Length: 5, 5").reason(), Reason::bad_content_length);
}

// Row 4.
TEST(RequestFraming, MalformedContentLengthIs400) {
  for (const char* value : {"+5", "-1", "0x5", "1_0", "5 5", "5;", "", "5.0", "1e3", "five", "\xc2\xb2"}) {
    EXPECT_EQ(post(std::string("Content-Length: ") + value).reason(), Reason::bad_content_length) << value;
  }
}

// Row 5.
TEST(RequestFraming, HugeContentLengthIs400) {
  EXPECT_EQ(post("Content-Length: 12345678901234567890").reason(), Reason::bad_content_length);
  EXPECT_EQ(post("Content-Length: 9223372036854775808").reason(), Reason::bad_content_length);
  EXPECT_EQ(post("Content-Length: 00000000000000000005").reason(), Reason::bad_content_length);
}

// Row 6.
TEST(RequestFraming, LeadingZerosAreDecimal) { EXPECT_EQ(post("Content-Length: 010").result->framing.length, 10U); }

// Row 7.
TEST(RequestFraming, UnknownTransferCodingIs501) {
  for (const char* value : {"xchunked", "gzip", "identity", "gzip, chunked"}) {
    EXPECT_EQ(post(std::string("Transfer-Encoding: ") + value).reason(), Reason::unknown_transfer_encoding) << value;
  }
}

// Rows 8, 9, 10 and 11.
TEST(RequestFraming, AmbiguousTransferEncodingIs400) {
  for (const char* value : {"chunked, gzip", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", ",chunked",
                            "chunked,", "chunked;a=b", "", "\"chunked\"", "chunked\xa0",
                            "\xa0"
                            "chunked",
                            "chu nked"}) {
    EXPECT_EQ(post(std::string("Transfer-Encoding: ") + value).reason(), Reason::bad_transfer_encoding) << value;
  }
}

// Row 13.
TEST(RequestFraming, TransferEncodingInHttp10Is400) {
  EXPECT_EQ(Judged("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").reason(), Reason::bad_transfer_encoding);
}

// Row 21.
TEST(RequestHost, MissingHostIs400In11Only) {
  EXPECT_EQ(get("/", "X: y").reason(), Reason::bad_host);
  const Judged old("GET / HTTP/1.0\r\n\r\n");
  ASSERT_EQ(old.reason(), Reason::none);
  EXPECT_EQ(old.result->authority.host, "");
}

// Row 22.
TEST(RequestHost, TwoHostLinesAre400EvenIfEqual) {
  EXPECT_EQ(get("/", "Host: a\r\nHost: b").reason(), Reason::bad_host);
  EXPECT_EQ(get("/", "Host: a\r\nHost: a").reason(), Reason::bad_host);
  EXPECT_EQ(Judged("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").reason(), Reason::bad_host);
}

// Row 23.
TEST(RequestHost, MalformedHostIs400) {
  for (const char* host : {"a b", "a/b",     "u@a",    "a,b", "a:99999",   "[::1",         "",          ":80",
                           "a:b", "a:80:80", "[::1]x", "[]",  "[1.2.3.4]", "[::1%25eth0]", "a..b",      ".a",
                           ".",   "a%2eb",   "a\\b",   "a:0", "a:-1",      "a?b",          "a\xc3\xa9", "[::g]"}) {
    EXPECT_EQ(get("/", std::string("Host: ") + host).reason(), Reason::bad_host) << host;
  }
  EXPECT_EQ(get("/", "Host: " + std::string(256, 'a')).reason(), Reason::bad_host);
}

TEST(RequestHost, ValidHostsAreSplitFromTheirPort) {
  const auto expect = [](std::string_view text, std::string_view host, int port) {
    const Result<Authority> authority = parse_authority(text);
    ASSERT_TRUE(authority.has_value()) << text;
    EXPECT_EQ(authority->host, host);
    EXPECT_EQ(authority->port, port);
    EXPECT_EQ(authority->text, text);
  };
  expect("example.com", "example.com", 0);
  expect("Example.com.:8080", "Example.com", 8080);
  expect("10.0.0.1:65535", "10.0.0.1", 65535);
  expect("[2001:db8::1]:443", "[2001:db8::1]", 443);
  expect("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0);
  expect("my_service:", "my_service", 0);
}

// Row 24.
TEST(RequestTarget, AbsoluteFormsAuthorityWinsOverHost) {
  const Judged judged = get("http://b.example:81/x?y", "Host: a");
  ASSERT_EQ(judged.reason(), Reason::none);
  EXPECT_EQ(judged.result->form, TargetForm::absolute);
  EXPECT_EQ(judged.result->authority.host, "b.example");
  EXPECT_EQ(judged.result->authority.port, 81);
  EXPECT_EQ(judged.result->path_and_query, "/x?y");
  EXPECT_EQ(judged.result->path, "/x");
  EXPECT_EQ(judged.result->query, "y");
  EXPECT_EQ(get("HTTPS://b", "Host: a").result->path, "/");
}

TEST(RequestTarget, MalformedAbsoluteFormIs400) {
  for (const char* target :
       {"http://", "http:///x", "ftp://a/x", "http://u@a/x", "http:/a", "http://a?x", "a/b", "a:80", "://a"}) {
    EXPECT_EQ(get(target).reason(), Reason::bad_target) << target;
  }
  EXPECT_EQ(get("http://b/", "X: no host").reason(), Reason::bad_host);
}

// Row 32.
TEST(RequestTarget, TraceAndConnectAre405) {
  EXPECT_EQ(Judged("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").reason(), Reason::method_not_allowed);
  EXPECT_EQ(Judged("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").reason(), Reason::method_not_allowed);
}

// Row 33.
TEST(RequestTarget, AsteriskIsForOptionsOnly) {
  EXPECT_EQ(get("*").reason(), Reason::bad_target);
  const Judged options("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(options.reason(), Reason::none);
  EXPECT_EQ(options.result->form, TargetForm::asterisk);
}

TEST(RequestTarget, TheQueryIsCutAtTheFirstMark) {
  const Judged judged = get("/a?b?c");
  EXPECT_EQ(judged.result->path, "/a");
  EXPECT_EQ(judged.result->query, "b?c");
  EXPECT_FALSE(get("/a").result->has_query);
  EXPECT_TRUE(get("/a?").result->has_query);
}

// Row 50.
TEST(RequestFraming, AGetMayHaveABodyThatIsFramed) {
  EXPECT_EQ(get("/", "Host: a\r\nContent-Length: 4").result->framing.length, 4U);
}

// Row 51.
TEST(RequestExpect, ContinueIsExpectedOnlyWithABody) {
  EXPECT_TRUE(post("Content-Length: 4\r\nExpect: 100-Continue").result->expect_continue);
  EXPECT_TRUE(post("Transfer-Encoding: chunked\r\nExpect: 100-continue").result->expect_continue);
  EXPECT_FALSE(post("Expect: 100-continue").result->expect_continue);
  EXPECT_FALSE(Judged("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").result->expect_continue);
}

// Row 52.
TEST(RequestExpect, OtherExpectationsAre417) {
  EXPECT_EQ(post("Expect: x").reason(), Reason::bad_expectation);
  EXPECT_EQ(post("Expect: 100-continue, x").reason(), Reason::bad_expectation);
  EXPECT_EQ(post("Expect: 100-continue\r\nExpect: x").reason(), Reason::bad_expectation);
}

// Row 54.
TEST(RequestUpgrade, WebSocketNeedsTheConnectionOption) {
  const Judged judged = get("/", "Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket");
  EXPECT_EQ(judged.result->upgrade, Upgrade::websocket);
  EXPECT_EQ(judged.result->upgrade_protocol, "WebSocket");
  EXPECT_EQ(get("/", "Host: a\r\nUpgrade: websocket").result->upgrade, Upgrade::none);
  EXPECT_EQ(get("/", "Host: a\r\nConnection: upgrade\r\nUpgrade: x").result->upgrade, Upgrade::other);
  EXPECT_EQ(Judged("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").result->upgrade,
            Upgrade::none);
}

// Row 55.
TEST(RequestUpgrade, H2cAndItsSettingsAreStripped) {
  const Judged judged =
      get("/",
          "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA");
  ASSERT_EQ(judged.reason(), Reason::none);
  EXPECT_EQ(judged.result->upgrade, Upgrade::none);
  EXPECT_TRUE(judged.result->upgrade_protocol.empty());
  const Fields& fields = judged.parser.head().fields;
  EXPECT_TRUE(is_hop_by_hop(*judged.result, fields, *fields.find(FieldId::upgrade)));
  EXPECT_TRUE(is_hop_by_hop(*judged.result, fields, *fields.find(FieldId::http2_settings)));
  EXPECT_EQ(get("/", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c").result->upgrade, Upgrade::none);
}

// Row 56.
TEST(RequestConnection, NamingAProtectedFieldIs400) {
  for (const char* option : {"Host", "Content-Length", "X-Real-IP", "close, x-forwarded-for", "Cookie", "Authorization",
                             "Transfer-Encoding", "keep-alive\r\nConnection: Host"}) {
    EXPECT_EQ(get("/", std::string("Host: a\r\nConnection: ") + option).reason(), Reason::bad_connection_option)
        << option;
  }
}

TEST(RequestConnection, NominatedFieldsAreHopByHop) {
  const Judged judged = get("/", "Host: a\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nX-Other: 2\r\nKeep-Alive: 5");
  ASSERT_EQ(judged.reason(), Reason::none);
  EXPECT_TRUE(judged.result->names_fields);
  const Fields& fields = judged.parser.head().fields;
  EXPECT_TRUE(is_hop_by_hop(*judged.result, fields, *fields.find("x-mine")));
  EXPECT_FALSE(is_hop_by_hop(*judged.result, fields, *fields.find("x-other")));
  EXPECT_TRUE(is_hop_by_hop(*judged.result, fields, *fields.find(FieldId::keep_alive)));
  EXPECT_TRUE(is_hop_by_hop(*judged.result, fields, *fields.find(FieldId::connection)));
  EXPECT_FALSE(is_hop_by_hop(*judged.result, fields, *fields.find(FieldId::host)));
}

TEST(RequestConnection, KeepAliveFollowsVersionAndOption) {
  const auto after = [](const char* version, const char* line) {
    return Judged(std::string("GET / ") + version + "\r\nHost: a\r\n" + line + "\r\n\r\n").result->after;
  };
  EXPECT_EQ(after("HTTP/1.1", "X: y"), AfterMessage::keep);
  EXPECT_EQ(after("HTTP/1.1", "Connection: Close"), AfterMessage::close);
  EXPECT_EQ(after("HTTP/1.1", "Connection: keep-alive, close"), AfterMessage::close);
  EXPECT_EQ(after("HTTP/1.0", "X: y"), AfterMessage::close);
  EXPECT_EQ(after("HTTP/1.0", "Connection: Keep-Alive"), AfterMessage::keep);
  EXPECT_EQ(after("HTTP/1.1", "Connection: closed"), AfterMessage::keep);
}

TEST(RequestSemanticsOrder, BrokenFramingIsReportedBeforeAnythingElse) {
  EXPECT_EQ(Judged("TRACE / HTTP/1.1\r\nContent-Length: x\r\n\r\n").reason(), Reason::bad_content_length);
}

}  // namespace
}  // namespace gatehouse::http
