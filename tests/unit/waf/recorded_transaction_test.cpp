#include "waf/recorded_transaction.hpp"

#include <array>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::waf::test {
namespace {

std::unique_ptr<RecordedTransaction> record(std::string body) {
  std::string method = "POST";
  std::string uri = "/a?b=\"c\"";
  std::string value = "v\x01";
  const std::array headers{HeaderView{"X-A", value}};
  const std::string_view segment = body;
  RequestInput input;
  input.client = {"192.0.2.1", 1234};
  input.server = {"192.0.2.2", 80};
  input.method = method;
  input.uri = uri;
  input.version = "1.1";
  input.headers = headers;
  input.body.segments = {&segment, 1};
  auto recorded = std::make_unique<RecordedTransaction>(input);
  const std::string_view text = "<html>";
  ResponseInput response;
  response.status = 500;
  response.headers = headers;
  response.body.segments = {&text, 1};
  recorded->set_response(response);
  return recorded;  // everything it was made from is gone
}

TEST(RecordedTransaction, OwnsWhatItGives) {
  const auto recorded = record("x=1");
  EXPECT_EQ(recorded->request().uri, "/a?b=\"c\"");
  ASSERT_EQ(recorded->request().headers.size(), 1U);
  EXPECT_EQ(recorded->request().headers[0].value, "v\x01");
  EXPECT_EQ(recorded->request().body.segments[0], "x=1");
  ASSERT_TRUE(recorded->response());
  EXPECT_EQ(recorded->response()->body.segments[0], "<html>");
  EXPECT_GT(recorded->bytes(), 20U);
}

TEST(RecordedTransaction, DescribesItselfInOnePrintableLine) {
  EXPECT_EQ(
      record("x\n=12345")->describe(4),
      "client 192.0.2.1:1234, server 192.0.2.2:80, request \"POST /a?b=\\x22c\\x22 HTTP/1.1\" \"X-A: v\\x01\" body "
      "\"x\\x0a=1\" and 4 bytes more, response 500 \"X-A: v\\x01\" body \"<htm\" and 2 bytes more");
}

}  // namespace
}  // namespace gatehouse::waf::test
