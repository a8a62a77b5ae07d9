// gzip, gunzip and brotli.
#include "proxy/config/settings/compression.hpp"

#include <array>

#include <brotli/encode.h>
#include <zlib.h>

#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for gzip's header and trailer

// zlib takes its input as a pointer to non-const bytes that it does not change.
Bytef* input_of(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

class Gzip : public BodyFilter {
 public:
  Gzip(Exchange& exchange, int level) : exchange_(exchange) {
    ready_ = deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Gzip() override {
    if (ready_) deflateEnd(&stream_);
  }

  Result<void> process(std::string_view in, bool last, std::string& out) override {
    if (!ready_) return Error{Reason::bug};
    stream_.next_in = input_of(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    // What came must not wait for more: the origin may be sending events.
    const int flush = last ? Z_FINISH : exchange_.flush_each_piece ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    std::array<char, 16384> block;
    int status = Z_OK;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(block.data());
      stream_.avail_out = block.size();
      status = deflate(&stream_, flush);
      if (status == Z_STREAM_ERROR) return Error{Reason::bug};
      out.append(block.data(), block.size() - stream_.avail_out);
    } while (stream_.avail_out == 0 || (last && status != Z_STREAM_END));
    exchange_.gzip_in = stream_.total_in;
    exchange_.gzip_out = stream_.total_out;
    return Result<void>{};
  }

 private:
  Exchange& exchange_;
  z_stream stream_{};
  bool ready_ = false;
};

class Gunzip : public BodyFilter {
 public:
  Gunzip() { ready_ = inflateInit2(&stream_, kGzipWindow) == Z_OK; }
  ~Gunzip() override {
    if (ready_) inflateEnd(&stream_);
  }

  Result<void> process(std::string_view in, bool last, std::string& out) override {
    if (!ready_) return Error{Reason::bug};
    stream_.next_in = input_of(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    std::array<char, 16384> block;
    do {
      if (ended_) {
        if (stream_.avail_in == 0) break;
        // Another member of the same gzip file (RFC 1952 section 2.2).
        if (inflateReset(&stream_) != Z_OK) return Error{Reason::upstream_bad_framing};
        ended_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(block.data());
      stream_.avail_out = block.size();
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return Error{Reason::upstream_bad_framing};
      out.append(block.data(), block.size() - stream_.avail_out);
      ended_ = status == Z_STREAM_END;
    } while (stream_.avail_out == 0 || (ended_ && stream_.avail_in > 0));
    if (last && !ended_) return Error{Reason::upstream_bad_framing};
    return Result<void>{};
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

class Brotli : public BodyFilter {
 public:
  Brotli(Exchange& exchange, int level, int window)
      : exchange_(exchange), state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) return;
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, static_cast<std::uint32_t>(level));
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, static_cast<std::uint32_t>(window));
  }
  ~Brotli() override { BrotliEncoderDestroyInstance(state_); }

  Result<void> process(std::string_view in, bool last, std::string& out) override {
    if (state_ == nullptr) return Error{Reason::bug};
    std::size_t left = in.size();
    const auto* next = reinterpret_cast<const std::uint8_t*>(in.data());
    const auto operation = last                         ? BROTLI_OPERATION_FINISH
                           : exchange_.flush_each_piece ? BROTLI_OPERATION_FLUSH
                                                        : BROTLI_OPERATION_PROCESS;
    do {
      std::size_t none = 0;
      if (!BrotliEncoderCompressStream(state_, operation, &left, &next, &none, nullptr, nullptr))
        return Error{Reason::bug};
      std::size_t size = 0;
      while (const auto* made = BrotliEncoderTakeOutput(state_, &size)) {
        out.append(reinterpret_cast<const char*>(made), size);
        size = 0;
      }
    } while (left > 0 || BrotliEncoderHasMoreOutput(state_) || (last && !BrotliEncoderIsFinished(state_)));
    return Result<void>{};
  }

 private:
  Exchange& exchange_;
  BrotliEncoderState* state_;
};

// What both compressors ask of a response before they look at the client.
bool is_compressible(const Exchange& exchange, ByteCount least, const config::MimeTypeSet& types) {
  const ResponseHeadOut& head = exchange.response;
  if (head.status != 200 && head.status != 403 && head.status != 404) return false;
  if (exchange.parent != nullptr) return false;
  const auto coding = head.fields.value(http::FieldId::content_encoding);
  if (coding && !coding->empty()) return false;
  const bool known = head.framing.kind != http::BodyKind::chunked && head.framing.kind != http::BodyKind::until_close;
  if (known && head.framing.length < least) return false;
  return types.contains(content_type_of(exchange));
}

void mark_compressed(Exchange& exchange, std::string_view coding) {
  exchange.response.fields.add("Content-Encoding", coding, http::FieldId::content_encoding);
  exchange.response.fields.remove(http::FieldId::accept_ranges);
  exchange.allow_ranges = false;
  forget_length(exchange);
  weaken_etag(exchange);
}

void vary(Exchange& exchange) {
  if (exchange.told_vary) return;
  exchange.told_vary = true;
  exchange.response.fields.add("Vary", "Accept-Encoding", http::FieldId::vary);
}

}  // namespace

std::unique_ptr<BodyFilter> make_gzip(Exchange& exchange) {
  const auto& settings = exchange.settings().compression;
  if (!settings || !settings->gzip || !is_compressible(exchange, settings->gzip_min_length, settings->gzip_types))
    return nullptr;
  if (settings->gzip_vary) vary(exchange);
  if (!may_compress(exchange, "gzip")) return nullptr;
  mark_compressed(exchange, "gzip");
  return std::make_unique<Gzip>(exchange, settings->gzip_comp_level);
}

std::unique_ptr<BodyFilter> make_brotli(Exchange& exchange) {
  const auto& settings = exchange.settings().compression;
  if (!settings || !settings->brotli || !is_compressible(exchange, settings->brotli_min_length, settings->brotli_types))
    return nullptr;
  if (settings->gzip_vary) vary(exchange);
  const auto accepted = exchange.head.fields.value(http::FieldId::accept_encoding);
  if (!accepted || !accepts_coding(*accepted, "br")) return nullptr;
  mark_compressed(exchange, "br");
  return std::make_unique<Brotli>(exchange, settings->brotli_comp_level, settings->brotli_window);
}

std::unique_ptr<BodyFilter> make_gunzip(Exchange& exchange) {
  const auto& settings = exchange.settings().compression;
  if (!settings || !settings->gunzip) return nullptr;
  const auto coding = exchange.response.fields.value(http::FieldId::content_encoding);
  if (!coding || *coding != "gzip") return nullptr;
  if (settings->gzip_vary) vary(exchange);
  if (may_compress(exchange, "gzip")) return nullptr;
  exchange.response.fields.remove(http::FieldId::content_encoding);
  exchange.response.fields.remove(http::FieldId::accept_ranges);
  exchange.allow_ranges = false;
  forget_length(exchange);
  weaken_etag(exchange);
  return std::make_unique<Gunzip>();
}

}  // namespace gatehouse::exchange
