// What answers in a location without proxy_pass, and before it: try_files, files, indexes, the small handlers.
#pragma once

#include <string>
#include <string_view>

#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Whether the place has try_files or no proxy_pass: then serve_content() decides what answers.
[[nodiscard]] bool needs_content(const Exchange& exchange) noexcept;

/// try_files, then proxy_pass or the location's handler. When it ends, the response was sent, or Exchange holds a local reply, or
/// Exchange::redirected says that the exchange goes to another place.
[[nodiscard]] io::Task<void> serve_content(Exchange& exchange);

/// The file that a URI path stands for, by root or alias. Relative roots that come of variables start at the prefix.
[[nodiscard]] std::string file_path(Exchange& exchange, std::string_view uri);
/// $document_root: root or alias without the URI.
[[nodiscard]] std::string document_root(Exchange& exchange);

/// What a path is; `missing` with errno in `error`.
struct FileKind {
  enum class Kind : std::uint8_t { file, directory, other, missing } kind = Kind::missing;
  int error = 0;
};
[[nodiscard]] FileKind kind_of(Exchange& exchange, const std::string& path);

/// The handlers. Each answers (a local reply), sends, redirects internally, or leaves the exchange alone: false.
[[nodiscard]] bool try_index(Exchange& exchange);  ///< index, random_index: for a URI that ends in a slash
[[nodiscard]] io::Task<bool> serve_listing(Exchange& exchange);  ///< autoindex
[[nodiscard]] io::Task<void> serve_file(Exchange& exchange);
void answer_empty_gif(Exchange& exchange);
void answer_stub_status(Exchange& exchange);

/// The reply to a file that can't be opened: 404, 403 or 500 by errno, with nginx's log line (`open() "PATH" failed (...)`).
void fail_opening(Exchange& exchange, std::string_view call, const std::string& path, int error);

/// Whether a path that was made of a URI has a ".." segment: rewriting and alias can make one, and it would lead out of the folder.
[[nodiscard]] bool leaves_root(const Exchange& exchange, std::string_view path) noexcept;

/// The content type of a URI by its extension (types, default_type).
[[nodiscard]] std::string_view type_of_uri(const Exchange& exchange, std::string_view uri);

}  // namespace gatehouse::exchange
