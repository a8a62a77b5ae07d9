// What changes a response's body on its way to the client, piece by piece.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/conditional.hpp"

namespace gatehouse::exchange {

struct Exchange;
class Addition;

/// One filter at work on one response. Its maker has changed the head already.
class BodyFilter {
 public:
  virtual ~BodyFilter() = default;
  /// Appends to `out` what `in` becomes; `last`: nothing follows. Error: the response must be cut.
  [[nodiscard]] virtual Result<void> process(std::string_view in, bool last, std::string& out) = 0;
  /// This filter if it has to fetch what it adds.
  [[nodiscard]] virtual Addition* as_addition() noexcept { return nullptr; }
  /// The next piece begins at `offset` of the representation.
  virtual void seek(std::uint64_t /*offset*/) noexcept {}
  /// The one range that the filter takes, if that is all it does.
  [[nodiscard]] virtual std::optional<http::ByteRange> only_range() const noexcept { return std::nullopt; }
};

/// Makes a filter if it acts on Exchange::response in this place, and changes the response's head then; null if not.
using BodyFilterMaker = std::unique_ptr<BodyFilter> (*)(Exchange& exchange);

[[nodiscard]] std::unique_ptr<BodyFilter> make_gunzip(Exchange& exchange);        ///< gunzip
[[nodiscard]] std::unique_ptr<BodyFilter> make_addition(Exchange& exchange);      ///< add_before_body, add_after_body
[[nodiscard]] std::unique_ptr<BodyFilter> make_substitution(Exchange& exchange);  ///< sub_filter
[[nodiscard]] std::unique_ptr<BodyFilter> make_charset(Exchange& exchange);       ///< charset, charset_map
[[nodiscard]] std::unique_ptr<BodyFilter> make_brotli(Exchange& exchange);        ///< brotli
[[nodiscard]] std::unique_ptr<BodyFilter> make_gzip(Exchange& exchange);          ///< gzip
[[nodiscard]] std::unique_ptr<BodyFilter> make_range(Exchange& exchange);         ///< Range, where ranges are allowed

// What filters do to heads.

/// The body's length is not known any more.
void forget_length(Exchange& exchange);
/// The ETag, if it is a good one, says that it is weak (nginx's ngx_http_weak_etag).
void weaken_etag(Exchange& exchange);
/// The Content-Type of the response; "" if there is none.
[[nodiscard]] std::string_view content_type_of(const Exchange& exchange);
/// Whether an Accept-Encoding field lists `coding` with a weight other than 0.
[[nodiscard]] bool accepts_coding(std::string_view accept_encoding, std::string_view coding) noexcept;
/// Whether the request and the response let gzip be used (nginx's ngx_http_gzip_ok).
[[nodiscard]] bool may_compress(const Exchange& exchange, std::string_view coding);

}  // namespace gatehouse::exchange
