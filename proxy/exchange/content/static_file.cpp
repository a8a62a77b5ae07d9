// Files: what nginx's static and gzip_static modules send.
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/config/settings/compression.hpp"
#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/conditional.hpp"
#include "proxy/http/date.hpp"
#include "proxy/http/target.hpp"

namespace gatehouse::exchange {
namespace {

/// An open file and what is told of it.
struct OpenFile {
  OpenFile() = default;
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int fd = -1;
  struct stat status{};
};

// Opens a path without following symbolic links that disable_symlinks refuses. Returns errno, 0 when it is open.
int open_checked(Exchange& exchange, const std::string& path, OpenFile& file) {
  const auto& files = config::files_of(exchange.settings());
  exchange.debug("http filename: \"{}\"", path);
  if (path.find('\0') != std::string::npos) return ENOENT;
  if (files.disable_symlinks == config::FileSettings::Symlinks::follow) {
    // Without waiting for a FIFO's other end.
    file.fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  } else {
    const std::string_view from = files.symlinks_from ? evaluate(*files.symlinks_from, exchange) : std::string_view{};
    std::size_t at =
        !from.empty() && path.starts_with(from) && from.size() < path.size() ? path.find('/', from.size() - 1) : 0;
    if (at == std::string::npos) at = 0;
    int folder = ::open(at == 0 ? "/" : path.substr(0, at).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return errno;
    for (;;) {
      while (at < path.size() && path[at] == '/') ++at;
      const std::size_t end = std::min(path.find('/', at), path.size());
      const std::string part = path.substr(at, end - at);
      const bool last = end >= path.size();
      const int follow = files.disable_symlinks == config::FileSettings::Symlinks::refuse ? O_NOFOLLOW : 0;
      if (follow == 0 && !part.empty()) {
        struct stat link{};
        struct stat target{};
        if (::fstatat(folder, part.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode) &&
            (::fstatat(folder, part.c_str(), &target, 0) != 0 || link.st_uid != target.st_uid)) {
          ::close(folder);
          return ELOOP;
        }
      }
      const int next = ::openat(folder, part.empty() ? "." : part.c_str(),
                                (last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY) | O_CLOEXEC | follow);
      const int error = errno;
      ::close(folder);
      if (next < 0) return error;
      if (last) {
        file.fd = next;
        break;
      }
      folder = next;
      at = end;
    }
  }
  if (file.fd < 0) return errno;
  return ::fstat(file.fd, &file.status) == 0 ? 0 : errno;
}

void redirect_to_folder(Exchange& exchange) {
  std::string location;
  http::escape_uri(exchange.path, http::EscapeSet::uri, location);
  location += '/';
  if (!exchange.args.empty()) location.append("?").append(exchange.args);
  exchange.redirect(301, exchange.arena.copy(location));
}

// FILE.gz or FILE.br, if the place has them, the client takes them and there is one.
struct Packed {
  std::string_view coding;
  std::string_view suffix;
};
const Packed* open_packed(Exchange& exchange, const std::string& path, OpenFile& file) {
  using Wanted = config::FileSettings::Packed;
  static constexpr std::array<Packed, 2> kPacked = {Packed{"br", ".br"}, Packed{"gzip", ".gz"}};
  const auto& files = config::files_of(exchange.settings());
  for (const auto& packed : kPacked) {
    const Wanted wanted = packed.coding == "br" ? files.brotli_static : files.gzip_static;
    if (wanted == Wanted::off) continue;
    const auto accepted = exchange.head.fields.value(http::FieldId::accept_encoding);
    if (wanted == Wanted::on && !(accepted && accepts_coding(*accepted, packed.coding))) {
      // That the file exists is enough to say that the answer depends on the client.
      const auto& compression = exchange.settings().compression;
      if (packed.coding == "gzip" &&
          kind_of(exchange, path + std::string(packed.suffix)).kind == FileKind::Kind::file &&
          (compression && compression->gzip_vary)) {
        exchange.told_vary = true;
      }
      continue;
    }
    OpenFile candidate;
    if (open_checked(exchange, path + std::string(packed.suffix), candidate) != 0 || !S_ISREG(candidate.status.st_mode))
      continue;
    const auto& compression = exchange.settings().compression;
    if (compression && compression->gzip_vary) exchange.told_vary = true;
    std::swap(file.fd, candidate.fd);
    file.status = candidate.status;
    return &packed;
  }
  return nullptr;
}

io::Task<void> send_file(Exchange& exchange, const OpenFile& file, std::uint64_t first, std::uint64_t end) {
  io::BufferPool::Block block = exchange.thread.body_blocks.take();
  bool head = true;
  std::uint64_t offset = first;
  do {
    const std::size_t wanted = std::min<std::uint64_t>(block.size(), end - offset);
    std::size_t got = 0;
    while (got < wanted && !exchange.is_head()) {
      const ssize_t read = ::pread(file.fd, block.data() + got, wanted - got, static_cast<off_t>(offset + got));
      if (read < 0 && errno == EINTR) continue;
      if (read <= 0) {
        // The file became shorter: the client must see that the answer is cut.
        exchange.log(LogLevel::crit, fmt::format("pread() read only {} of {} from a file that changed", got, wanted));
        if (head) {
          exchange.reply(500, Reason::file_failed);
        } else {
          exchange.reason = Reason::file_failed;
          exchange.downstream.abort();
        }
        co_return;
      }
      got += static_cast<std::size_t>(read);
    }
    offset += wanted;
    const bool last = offset >= end || exchange.is_head();
    const std::string_view piece(block.data(), got);
    auto sending = send_response_piece(exchange, head, piece, last);
    const auto sent = co_await sending;
    if (!sent) {
      exchange.fail_sending(sent.error());
      co_return;
    }
    if (last) break;
  } while (true);
}

}  // namespace

io::Task<void> serve_file(Exchange& exchange) {
  const std::string path = file_path(exchange, exchange.path);
  if (leaves_root(exchange, path)) {
    exchange.log(LogLevel::error, fmt::format("path \"{}\" leaves its folder", path));
    exchange.reply(403, Reason::file_forbidden);
    co_return;
  }
  OpenFile file;
  const Packed* const packed = exchange.method == http::Method::post ? nullptr : open_packed(exchange, path, file);
  if (packed == nullptr) {
    if (const int error = open_checked(exchange, path, file); error != 0) {
      fail_opening(exchange, "open()", path, error);
      co_return;
    }
  }
  if (S_ISDIR(file.status.st_mode)) {
    redirect_to_folder(exchange);
    co_return;
  }
  if (!S_ISREG(file.status.st_mode)) {
    exchange.log(LogLevel::crit, fmt::format("\"{}\" is not a regular file", path));
    exchange.reply(404, Reason::file_not_found);
    co_return;
  }
  if (exchange.method == http::Method::post) {
    exchange.reply(405, Reason::method_refused);
    co_return;
  }
  const auto size = static_cast<std::uint64_t>(file.status.st_size);
  const auto modified = http::format_imf_date(file.status.st_mtime);
  const auto& settings = config::files_of(exchange.settings());
  const std::string etag = settings.etag ? fmt::format("\"{:x}-{:x}\"", file.status.st_mtime, size) : std::string();
  begin_local_head(exchange, 200);
  auto& fields = exchange.response.fields;
  const std::string_view type =
      exchange.accel_type.empty() ? type_of_uri(exchange, exchange.path) : exchange.accel_type;
  if (!type.empty()) fields.add("Content-Type", type, http::FieldId::content_type);
  fields.add("Last-Modified", exchange.arena.copy(http::view(modified)), http::FieldId::last_modified);
  if (!etag.empty()) fields.add("ETag", exchange.arena.copy(etag), http::FieldId::etag);
  if (packed != nullptr) fields.add("Content-Encoding", packed->coding, http::FieldId::content_encoding);
  if (exchange.told_vary) fields.add("Vary", "Accept-Encoding", http::FieldId::vary);
  exchange.response.framing = {.kind = http::BodyKind::length, .length = size, .declared = true};
  exchange.allow_ranges = packed == nullptr;
  if (!settle_head(exchange)) co_return;
  if (exchange.response.status == 304) {
    auto sending = send_response_head(exchange, {}, true);
    const auto sent = co_await sending;
    if (!sent) exchange.fail_sending(sent.error());
    co_return;
  }
  std::uint64_t first = 0;
  std::uint64_t end = size;
  if (exchange.output) {
    if (const auto range = exchange.output->only_range()) {
      first = range->first;
      end = range->end;
      exchange.output->drop_range();
    }
  }
  auto sending = send_file(exchange, file, first, end);
  co_await sending;
}

}  // namespace gatehouse::exchange
