// `error_page`: what is answered instead of an error, and the internal redirects that lead there.
#pragma once

#include <string_view>

namespace gatehouse::exchange {

struct Exchange;

/// Whether error_page of the exchange's place names `status`.
[[nodiscard]] bool has_error_page(const Exchange& exchange, int status);

/// After a local reply: true when an error page takes its place and the exchange goes on at Exchange::resume; false when the reply is
/// the answer (it may be another one now: a redirect to the page, or 500).
[[nodiscard]] bool take_error_page(Exchange& exchange);

/// Sends the exchange to another URI of its server, as nginx's ngx_http_internal_redirect. False when it was answered with 500 because
/// there were too many redirects already.
[[nodiscard]] bool redirect_internally(Exchange& exchange, std::string_view path, std::string_view args);

/// Sends the exchange to a named location ("@name"), keeping its URI. False when it was answered with 500.
[[nodiscard]] bool redirect_to_named(Exchange& exchange, std::string_view name);

}  // namespace gatehouse::exchange
