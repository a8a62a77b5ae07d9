// The chunked transfer coding, RFC 9112 section 7.1: a strict streaming decoder that copies no data, and the encoder's
// lines.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/fields.hpp"

namespace gatehouse::http {

/// Whose body is decoded: decides the reasons of failure and which trailers survive.
enum class BodyOf : std::uint8_t { request, response };

/// Limits of what surrounds the data, in bytes.
struct ChunkLimits {
  std::size_t extension_line = 4096;                ///< one chunk's extensions; beyond: bad_chunk
  std::size_t extensions = std::size_t{16} * 1024;  ///< all extensions of a body; beyond: bad_chunk
  std::size_t trailers = 8192;                      ///< the trailer section; beyond: fields_too_large
};

/// Decodes one chunked body from the buffers as they come. Give next() the unread bytes until it says otherwise:
///
///     while (true) {
///       const auto step = decoder.next(unread);
///       unread.remove_prefix(step.consumed);
///       switch (step.status) { data: use step.data; need_more: read; finished: the rest belongs to the next message;
///       failed: ... }
///     }
///
/// Extensions are checked and forgotten. Strictness: CRLF only, 1 to 16 hexadecimal digits, no whitespace around the
/// size.
class ChunkedDecoder {
 public:
  enum class Status : std::uint8_t {
    need_more,  ///< everything was consumed
    data,       ///< `data` is the next piece of the body, never empty
    finished,   ///< the body ended; trailers() is valid
    failed,     ///< reason() says why
  };
  struct Step {
    Status status = Status::need_more;
    std::string_view data;     ///< part of next()'s argument
    std::size_t consumed = 0;  ///< bytes of the argument that are done with, `data` included
  };

  explicit ChunkedDecoder(BodyOf body_of, const ChunkLimits& limits = {}) noexcept
      : limits_(limits), body_of_(body_of) {}
  ChunkedDecoder(const ChunkedDecoder&) = delete;  // trailers() points into the object
  ChunkedDecoder& operator=(const ChunkedDecoder&) = delete;

  [[nodiscard]] Step next(std::string_view unread);

  [[nodiscard]] bool finished() const noexcept { return state_ == State::finished; }

  /// bad_chunk or fields_too_large for a request, upstream_bad_framing for a response.
  [[nodiscard]] Reason reason() const noexcept { return reason_; }

  /// The trailer fields that may be forwarded: not those that frame, route, authenticate or modify
  /// (FieldTraits::kNoTrailer), and from a request none whose name is unusual (see NamePolicy). Borrows from the
  /// decoder.
  [[nodiscard]] const Fields& trailers() const noexcept { return trailers_; }

  /// Body bytes that are still to come in the current chunk; 0 between chunks.
  [[nodiscard]] std::uint64_t left_in_chunk() const noexcept { return state_ == State::data ? left_ : 0; }

  /// Ready for the next body; keeps capacity.
  void reset(BodyOf body_of) noexcept;

 private:
  enum class State : std::uint8_t {
    size_start,
    size,
    extension_start,
    extension_name,
    value_start,
    extension_value,
    quoted,
    quoted_escape,
    quoted_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_line,
    last_lf,
    finished,
    failed,
  };

  bool take_size_byte(char c) noexcept;
  bool take_extension_byte(char c) noexcept;
  bool take_framing_byte(char c);
  bool take_trailer_byte(char c);
  bool collect_trailers();
  bool fail(Reason reason) noexcept;
  [[nodiscard]] Reason bad_syntax() const noexcept;

  ChunkLimits limits_;
  std::uint64_t left_ = 0;  // of the current chunk's data
  std::size_t extension_line_ = 0;
  std::size_t extensions_ = 0;
  std::string trailer_text_;  // the trailer section as sent; trailers_ points into it
  Fields trailers_;
  unsigned digits_ = 0;
  State state_ = State::size_start;
  BodyOf body_of_;
  Reason reason_ = Reason::none;
};

/// Decodes everything that is in a buffer and moves the data of its chunks together where it lies, so that a body of one-byte chunks
/// is handled in as few steps as any other. `unread` must be in memory that the caller owns and may write to; what was decoded of it
/// is overwritten, what follows the body is left alone and stays in `unread`. Status: need_more, finished or failed.
[[nodiscard]] ChunkedDecoder::Step gather_chunks(ChunkedDecoder& decoder, std::string_view& unread);

/// The line before a chunk's data: "1a2b\r\n". A value, so that it can stand in an I/O vector beside the data.
class ChunkHeader {
 public:
  explicit ChunkHeader(std::uint64_t size) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 18> text_{};
  std::size_t length_ = 0;
};

inline constexpr std::string_view kChunkEnd = "\r\n";        ///< after a chunk's data
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";  ///< ends a body without trailers

/// Appends the last chunk and a trailer section to `out`.
void append_last_chunk(const Fields& trailers, std::string& out);

}  // namespace gatehouse::http
