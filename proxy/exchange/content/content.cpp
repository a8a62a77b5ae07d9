#include "proxy/exchange/content/content.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/proxy.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"

namespace gatehouse::exchange {
namespace {

std::string root_of(Exchange& exchange) {
  const auto& files = config::files_of(exchange.settings());
  const std::string& prefix = exchange.generation->shared->config->prefix;
  std::string root = files.root ? std::string(evaluate(*files.root, exchange)) : "html";
  if (!root.starts_with('/')) root = prefix + (prefix.ends_with('/') ? "" : "/") + root;
  return root;
}

enum class Tried : std::uint8_t { here, gone };  ///< `gone`: redirected or answered

Tried apply_try_files(Exchange& exchange, const config::TryFiles& tries) {
  const auto& files = config::files_of(exchange.settings());
  const bool alias = files.alias != config::FileSettings::kNoAlias;
  for (const auto& candidate : tries.candidates) {
    const std::string_view name = evaluate(candidate.path, exchange);
    // With an alias, $uri begins with the location's own part, which the alias stands for.
    std::string uri(name);
    if (alias && files.alias == config::FileSettings::kWholeAlias) uri = std::string(name);
    const std::string path = alias && files.alias < config::FileSettings::kWholeAlias &&
                                     !name.starts_with(exchange.path.substr(0, files.alias))
                                 ? document_root(exchange) + uri
                                 : file_path(exchange, uri);
    const FileKind found = kind_of(exchange, path + (candidate.directory ? "/" : ""));
    const bool fits = candidate.directory ? found.kind == FileKind::Kind::directory
                                          : found.kind == FileKind::Kind::file || found.kind == FileKind::Kind::other;
    exchange.debug("trying to use {}: \"{}\" \"{}\"", candidate.directory ? "dir" : "file", name, path);
    if (!fits) continue;
    if (uri != exchange.path) {
      // Without the slash: a folder is answered with a redirect to it, as in nginx.
      exchange.path = exchange.arena.copy(uri);
      exchange.raw_target_valid = false;
      exchange.location_prefix_valid = true;
    }
    return Tried::here;
  }
  if (tries.status != 0) {
    if (tries.status == http::kCloseSilently) {
      exchange.fail(Reason::client_closed);
      exchange.response.status = http::kCloseSilently;
    } else {
      exchange.reply(tries.status, Reason::none);
    }
    return Tried::gone;
  }
  const std::string_view target = evaluate(tries.fallback, exchange);
  if (target.starts_with('@')) {
    (void)redirect_to_named(exchange, target);
  } else {
    const std::size_t mark = std::min(target.find('?'), target.size());
    const std::string_view args = mark < target.size() ? target.substr(mark + 1) : exchange.args;
    (void)redirect_internally(exchange, target.substr(0, mark), args);
  }
  return Tried::gone;
}

void refuse_without_handler(Exchange& exchange) {
  if (exchange.path.ends_with('/')) {
    exchange.log(LogLevel::error,
                 fmt::format("directory index of \"{}\" is forbidden", file_path(exchange, exchange.path)));
    exchange.reply(403, Reason::file_forbidden);
  } else {
    exchange.reply(404, Reason::file_not_found);
  }
}

}  // namespace

bool needs_content(const Exchange& exchange) noexcept {
  const config::Location& location = *exchange.route->location;
  return location.try_files != nullptr || !location.proxy_pass;
}

std::string document_root(Exchange& exchange) { return root_of(exchange); }

std::string file_path(Exchange& exchange, std::string_view uri) {
  const auto& files = config::files_of(exchange.settings());
  std::string path = root_of(exchange);
  if (files.alias == config::FileSettings::kWholeAlias) return path;
  if (files.alias != config::FileSettings::kNoAlias) uri.remove_prefix(std::min(files.alias, uri.size()));
  return path.append(uri);
}

FileKind kind_of(Exchange&, const std::string& path) {
  struct stat status{};
  if (path.find('\0') != std::string::npos) return {FileKind::Kind::missing, ENOENT};
  if (::stat(path.c_str(), &status) != 0) return {FileKind::Kind::missing, errno};
  if (S_ISREG(status.st_mode)) return {FileKind::Kind::file, 0};
  return {S_ISDIR(status.st_mode) ? FileKind::Kind::directory : FileKind::Kind::other, 0};
}

void fail_opening(Exchange& exchange, std::string_view call, const std::string& path, int error) {
  const std::string text =
      fmt::format("{} \"{}\" failed ({}: {})", call, path, error, std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      if (exchange.settings().log_not_found) exchange.log(LogLevel::error, text);
      exchange.reply(404, Reason::file_not_found);
      return;
    case EACCES:
    case ELOOP:
    case EPERM:
      exchange.log(LogLevel::error, text);
      exchange.reply(403, Reason::file_forbidden);
      return;
    default:
      exchange.log(LogLevel::crit, text);
      exchange.reply(500, Reason::file_failed);
      return;
  }
}

bool leaves_root(const Exchange& exchange, std::string_view path) noexcept {
  // What the configuration itself wrote may go up; the URI's own part comes last.
  const std::string_view own = path.substr(path.size() - std::min(path.size(), exchange.path.size()));
  for (std::size_t at = own.find(".."); at != std::string_view::npos; at = own.find("..", at + 1)) {
    const std::size_t in_path = path.size() - own.size() + at;
    const bool begins = in_path == 0 || path[in_path - 1] == '/';
    const bool ends = in_path + 2 == path.size() || path[in_path + 2] == '/';
    if (begins && ends) return true;
  }
  return false;
}

std::string_view type_of_uri(const Exchange& exchange, std::string_view uri) {
  static const config::MimeTypes kUsual = {{"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}};
  const auto& settings = exchange.settings();
  const std::string_view name = uri.substr(uri.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return settings.default_type;
  const std::string extension = lower_case(name.substr(dot + 1));
  const config::MimeTypes& types = settings.types ? *settings.types : kUsual;
  const auto found = types.find(extension);
  return found == types.end() ? std::string_view(settings.default_type) : std::string_view(found->second);
}

io::Task<void> serve_content(Exchange& exchange) {
  if (const auto& tries = exchange.route->location->try_files;
      tries && apply_try_files(exchange, *tries) == Tried::gone)
    co_return;
  const config::Location& location = *exchange.route->location;
  if (location.proxy_pass) {
    auto serving = serve_from_upstream(exchange);
    co_await serving;
    co_return;
  }
  switch (location.handler) {
    case config::Location::Handler::empty_gif: answer_empty_gif(exchange); co_return;
    case config::Location::Handler::stub_status: answer_stub_status(exchange); co_return;
    case config::Location::Handler::files: break;
  }
  const bool reads = exchange.method == http::Method::get || exchange.method == http::Method::head;
  if (!reads && exchange.method != http::Method::post) {
    exchange.reply(405, Reason::method_refused);
    co_return;
  }
  if (!exchange.path.ends_with('/')) {
    auto serving = serve_file(exchange);
    co_await serving;
    co_return;
  }
  if (try_index(exchange)) co_return;
  if (config::files_of(exchange.settings()).autoindex && reads) {
    auto listing = serve_listing(exchange);
    if (const bool listed = co_await listing; listed) co_return;
  }
  refuse_without_handler(exchange);
}

}  // namespace gatehouse::exchange
