#include "proxy/http/chunked.hpp"

#include <string>

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

using Status = ChunkedDecoder::Status;

struct Decoded {
  std::string body;
  Status status = Status::need_more;
  Reason reason = Reason::none;
  std::size_t consumed = 0;
};

// Decodes `text` fed in pieces of `piece` bytes.
Decoded decode(ChunkedDecoder& decoder, std::string_view text, std::size_t piece = std::string::npos) {
  Decoded out;
  while (!text.empty()) {
    std::string_view unread = text.substr(0, piece);
    text.remove_prefix(unread.size());
    for (;;) {
      const ChunkedDecoder::Step step = decoder.next(unread);
      unread.remove_prefix(step.consumed);
      out.consumed += step.consumed;
      out.status = step.status;
      if (step.status == Status::data) {
        EXPECT_FALSE(step.data.empty());
        out.body += step.data;
        continue;
      }
      if (step.status == Status::need_more) break;
      out.reason = decoder.reason();
      return out;
    }
  }
  return out;
}

Decoded decode(std::string_view text, BodyOf body_of = BodyOf::request) {
  ChunkedDecoder decoder(body_of);
  return decode(decoder, text);
}

void expect_400(std::string_view text) {
  EXPECT_EQ(decode(text).reason, Reason::bad_chunk) << text;
  EXPECT_EQ(decode(text, BodyOf::response).reason, Reason::upstream_bad_framing) << text;
}

TEST(Chunked, ChunksAreJoinedAndTheRestIsLeft) {
  const std::string text = "5\r\nhello\r\nA;x=\"a\\\"b;c\";y\r\n 123456789\r\n000\r\n\r\nGET";
  const Decoded whole = decode(text);
  EXPECT_EQ(whole.status, Status::finished);
  EXPECT_EQ(whole.body, "hello 123456789");
  EXPECT_EQ(whole.consumed, text.size() - 3);
  for (std::size_t piece = 1; piece < 9; ++piece) {
    ChunkedDecoder decoder(BodyOf::request);
    EXPECT_EQ(decode(decoder, text, piece).body, whole.body) << piece;
    EXPECT_TRUE(decoder.finished());
  }
}

TEST(Chunked, DataIsAViewOfTheInput) {
  const std::string text = "5\r\nhello";
  ChunkedDecoder decoder(BodyOf::request);
  const auto step = decoder.next(text);
  EXPECT_EQ(step.data.data(), text.data() + 3);
  EXPECT_EQ(decoder.next({}).status, Status::need_more);
}

// Row 41.
TEST(Chunked, MalformedSizesAre400) {
  for (const char* size : {"0x5", "+5", "-1", "5_0", " 5", "5 ", "", "G", "5\t", "5 ;a", "\xb2"}) {
    expect_400(std::string(size) + "\r\nhello\r\n0\r\n\r\n");
  }
}

// Row 42.
TEST(Chunked, SeventeenDigitsAre400) {
  expect_400("00000000000000005\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(decode("0000000000000005\r\nhello\r\n0\r\n\r\n").body, "hello");
}

TEST(Chunked, TheLargestSizeDoesNotOverflow) {
  ChunkedDecoder decoder(BodyOf::request);
  const std::string text = "ffffffffffffffff\r\nab";
  const auto step = decoder.next(text);
  EXPECT_EQ(step.data, "ab");
  EXPECT_EQ(decoder.left_in_chunk(), UINT64_MAX - 2);
}

// Row 43.
TEST(Chunked, ASizeLineEndedByOneByteIs400) {
  expect_400("5\nhello\r\n0\r\n\r\n");
  expect_400("5\rhello\r\n0\r\n\r\n");
  expect_400("5;\nhello\r\n0\r\n\r\n");
  expect_400("5;a\nhello\r\n0\r\n\r\n");
}

// Row 44.
TEST(Chunked, ControlBytesAndEmptyNamesInExtensionsAre400) {
  for (const char* extension : {";", ";;a", ";a\x01", ";a\x7f", ";a\rb", ";a=\"b\r\n\"", ";\x80", ";a=", ";=b",
                                ";a=b=c", ";a=(b", ";a=\"b\"c", ";a\"b\"", ";a b", ";a=\x80", "; a"}) {
    expect_400(std::string("5") + extension + "\r\nhello\r\n0\r\n\r\n");
  }
}

// Row 44.
TEST(Chunked, ExtensionsBeyond4kALineAre400) {
  EXPECT_EQ(decode("1;" + std::string(4095, 'a') + "\r\nx\r\n0\r\n\r\n").status, Status::finished);
  expect_400("1;" + std::string(4096, 'a') + "\r\nx\r\n0\r\n\r\n");
}

// Row 44.
TEST(Chunked, ExtensionsBeyond16kInAllAre400) {
  std::string text;
  for (int i = 0; i < 4; ++i) text += "1;" + std::string(4095, 'a') + "\r\nx\r\n";
  EXPECT_EQ(decode(text + "0\r\n\r\n").status, Status::finished);
  expect_400(text + "1;a\r\nx\r\n0\r\n\r\n");
}

// Row 45.
TEST(Chunked, DataNotFollowedByCrlfIs400) {
  expect_400("5\r\nhelloX\r\n0\r\n\r\n");
  expect_400("5\r\nhello\n0\r\n\r\n");
  expect_400("5\r\nhello\rX0\r\n\r\n");
  expect_400("5\r\nhello0\r\n\r\n");
}

// Row 46.
TEST(Chunked, AMegabyteInOneByteChunksNeedsNoMemory) {
  ChunkedDecoder decoder(BodyOf::request);
  std::size_t bytes = 0;
  for (int i = 0; i < 1 << 20; ++i) {
    const auto step = decoder.next("1\r\nx");
    bytes += step.data.size();
    ASSERT_EQ(decoder.next("\r\n").status, Status::need_more);
  }
  EXPECT_EQ(bytes, std::size_t{1} << 20);
}

// Row 47.
TEST(Chunked, TrailersThatFrameRouteOrAuthenticateAreDropped) {
  ChunkedDecoder decoder(BodyOf::request);
  const std::string text =
      "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nX-Forwarded-For: "
      "1.2.3.4\r\n"
      "X_Forwarded_For: 1.2.3.4\r\nCookie: a\r\nX-Checksum:  abc \r\n\r\n";
  EXPECT_EQ(decode(decoder, text, 7).status, Status::finished);
  ASSERT_EQ(decoder.trailers().size(), 1U);
  EXPECT_EQ(decoder.trailers()[0].name, "X-Checksum");
  EXPECT_EQ(decoder.trailers()[0].value, "abc");
}

// Row 48.
TEST(Chunked, TrailersBeyond8kAre431) {
  const auto section = [](std::size_t size) { return "0\r\nX: " + std::string(size - 5, 'a') + "\r\n\r\n"; };
  EXPECT_EQ(decode(section(8192)).status, Status::finished);
  EXPECT_EQ(decode(section(8193)).reason, Reason::fields_too_large);
  EXPECT_EQ(decode(section(8193), BodyOf::response).reason, Reason::upstream_bad_framing);
}

// Row 48.
TEST(Chunked, MalformedTrailersAre400) {
  for (const char* lines : {"X", ": y", "X : y", " X: y", "X: y\r\n z", "X: \x01", "X: y\nZ: a", "X: a\rb", "\n"}) {
    expect_400(std::string("0\r\n") + lines + "\r\n\r\n");
  }
  expect_400("0\r\n\rX");
  expect_400("0\r\n\n");
}

TEST(Chunked, AResetDecoderTakesTheNextBody) {
  ChunkedDecoder decoder(BodyOf::request);
  EXPECT_EQ(decode(decoder, "0\r\nX-A: b\r\n\r\n").status, Status::finished);
  decoder.reset(BodyOf::response);
  EXPECT_TRUE(decoder.trailers().empty());
  EXPECT_EQ(decode(decoder, "1\r\nx\r\n0\r\n\r\n").body, "x");
}

TEST(Chunked, EncoderWritesWhatTheDecoderReads) {
  EXPECT_EQ(ChunkHeader(0).view(), "0\r\n");
  EXPECT_EQ(ChunkHeader(0x1a2b).view(), "1a2b\r\n");
  EXPECT_EQ(ChunkHeader(UINT64_MAX).view(), "ffffffffffffffff\r\n");
  Fields trailers;
  trailers.add("X-A", "b");
  std::string text = std::string(ChunkHeader(3).view()) + "abc" + std::string(kChunkEnd);
  append_last_chunk(trailers, text);
  ChunkedDecoder decoder(BodyOf::response);
  EXPECT_EQ(decode(decoder, text).body, "abc");
  EXPECT_EQ(decoder.trailers().find("x-a")->value, "b");
}

TEST(GatherChunks, DataOfManyChunksIsOnePieceAndTheNextMessageIsLeftAlone) {
  std::string buffer = "1\r\na\r\n2;x=y\r\nbc\r\n1\r\nd\r\n0\r\n\r\nGET /next";
  ChunkedDecoder decoder(BodyOf::request);
  std::string_view unread = buffer;
  const auto gathered = gather_chunks(decoder, unread);
  EXPECT_EQ(gathered.status, ChunkedDecoder::Status::finished);
  EXPECT_EQ(gathered.data, "abcd");
  EXPECT_EQ(unread, "GET /next");
  EXPECT_EQ(gathered.consumed, buffer.size() - unread.size());
}

TEST(GatherChunks, AnyCutOfABodyGivesTheSameBytes) {
  const std::string text = "3\r\nabc\r\n10\r\n0123456789abcdef\r\n1\r\nz\r\n0\r\nX-T: v\r\n\r\n";
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    ChunkedDecoder decoder(BodyOf::response);
    std::string body;
    for (std::string part : {text.substr(0, cut), text.substr(cut)}) {
      std::string_view unread = part;
      body += gather_chunks(decoder, unread).data;
      EXPECT_TRUE(unread.empty());
    }
    EXPECT_EQ(body, "abc0123456789abcdefz") << cut;
    EXPECT_TRUE(decoder.finished());
  }
}

TEST(GatherChunks, ABrokenChunkFailsWhateverCameBeforeIt) {
  std::string buffer = "1\r\na\r\nzz\r\n";
  ChunkedDecoder decoder(BodyOf::request);
  std::string_view unread = buffer;
  EXPECT_EQ(gather_chunks(decoder, unread).status, ChunkedDecoder::Status::failed);
  EXPECT_EQ(decoder.reason(), Reason::bad_chunk);
}

}  // namespace
}  // namespace gatehouse::http
