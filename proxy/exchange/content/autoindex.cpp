// autoindex: listings of folders in nginx's four formats.
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "proxy/config/settings/body_filters.hpp"
#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/date.hpp"
#include "proxy/http/target.hpp"

namespace gatehouse::exchange {
namespace {

using Listing = config::FileSettings::Listing;
constexpr std::size_t kNameColumn = 50;

struct Entry {
  std::string name;
  bool folder = false;
  bool file = false;
  std::uint64_t size = 0;
  std::time_t modified = 0;
};

// nginx counts bytes unless the place's charset is UTF-8.
std::size_t characters(std::string_view utf8, bool by_character) {
  if (!by_character) return utf8.size();
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// The first `count` characters, never half of one.
std::string_view first_characters(std::string_view utf8, std::size_t count) {
  std::size_t at = 0;
  while (at < utf8.size()) {
    if ((static_cast<unsigned char>(utf8[at]) & 0xc0) != 0x80 && count-- == 0) break;
    ++at;
  }
  return utf8.substr(0, at);
}

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

std::string json(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      switch (c) {
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        default: out += fmt::format("\\u{:04X}", byte);
      }
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string escaped_name(std::string_view name) {
  std::string out;
  http::escape_uri(name, http::EscapeSet::component, out);
  return out;
}

std::string rounded_size(std::uint64_t size) {
  constexpr std::uint64_t kGiB = 1024 * kMiB;
  const auto column = [](std::uint64_t value, char unit) { return fmt::format("{:6}{}", value, unit); };
  if (size > kGiB - 1) {
    const std::uint64_t whole = size / kGiB;
    return column(whole + (size % kGiB > kGiB / 2 - 1 ? 1 : 0), 'G');
  }
  if (size > kMiB - 1) {
    const std::uint64_t whole = size / kMiB;
    return column(whole + (size % kMiB > kMiB / 2 - 1 ? 1 : 0), 'M');
  }
  if (size > 9999) return column(size / 1024 + (size % 1024 > 511 ? 1 : 0), 'K');
  return fmt::format(" {:6}", size);
}

std::tm broken_down(std::time_t when, bool local) {
  std::tm parts{};
  if (local) {
    localtime_r(&when, &parts);
  } else {
    gmtime_r(&when, &parts);
  }
  return parts;
}

std::string list_html(const std::vector<Entry>& entries, std::string_view uri, const config::FileSettings& settings,
                      bool utf8) {
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::string out = fmt::format(
      "<html>\r\n<head><title>Index of {0}</title></head>\r\n<body>\r\n<h1>Index of {0}</h1><hr><pre><a "
      "href=\"../\">../</a>\r\n",
      html(uri));
  for (const auto& entry : entries) {
    const std::string_view slash = entry.folder ? "/" : "";
    out += fmt::format("<a href=\"{}{}\">", html(escaped_name(entry.name)), slash);
    const std::size_t length = characters(entry.name, utf8);
    if (length > kNameColumn) {
      out += html((utf8 ? first_characters(entry.name, kNameColumn - 3)
                        : std::string_view(entry.name).substr(0, kNameColumn - 3))) +
             "..&gt;</a>";
    } else {
      out += html(entry.name);
      if (entry.folder && length < kNameColumn) out += '/';
      out += "</a>";
      const std::size_t shown = length + (entry.folder && length < kNameColumn ? 1 : 0);
      out.append(kNameColumn - std::min(kNameColumn, shown), ' ');
    }
    const std::tm parts = broken_down(entry.modified, settings.autoindex_localtime);
    out += fmt::format(" {:02}-{}-{} {:02}:{:02} ", parts.tm_mday, kMonths[static_cast<std::size_t>(parts.tm_mon)],
                       parts.tm_year + 1900, parts.tm_hour, parts.tm_min);
    if (settings.autoindex_exact_size) {
      out += entry.folder ? fmt::format("{:>19}", "-") : fmt::format("{:19}", entry.size);
    } else {
      out += entry.folder ? "      -" : rounded_size(entry.size);
    }
    out += "\r\n";
  }
  return out + "</pre><hr></body>\r\n</html>\r\n";
}

std::string_view kind_name(const Entry& entry) { return entry.folder ? "directory" : entry.file ? "file" : "other"; }

std::string list_json(const std::vector<Entry>& entries, std::string_view callback) {
  std::string out = callback.empty() ? "[" : fmt::format("/* callback */\r\n{}([", callback);
  bool first = true;
  for (const auto& entry : entries) {
    const auto date = http::format_imf_date(entry.modified);
    out += fmt::format("{}\r\n{{ \"name\":\"{}\", \"type\":\"{}\", \"mtime\":\"{}\"", first ? "" : ",",
                       json(entry.name), kind_name(entry), http::view(date));
    if (entry.file) out += fmt::format(", \"size\":{}", entry.size);
    out += " }";
    first = false;
  }
  return out + (callback.empty() ? "\r\n]" : "\r\n]);");
}

std::string list_xml(const std::vector<Entry>& entries) {
  std::string out = "<?xml version=\"1.0\"?>\r\n<list>\r\n";
  for (const auto& entry : entries) {
    const std::tm parts = broken_down(entry.modified, false);
    out +=
        fmt::format("<{0} mtime=\"{1:04}-{2:02}-{3:02}T{4:02}:{5:02}:{6:02}Z\"", kind_name(entry), parts.tm_year + 1900,
                    parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    if (entry.file) out += fmt::format(" size=\"{}\"", entry.size);
    out += fmt::format(">{}</{}>\r\n", html(entry.name), kind_name(entry));
  }
  return out + "</list>\r\n";
}

// nginx takes the argument "callback" if it is a plain name.
std::string callback_of(Exchange& exchange) {
  std::string_view args = exchange.args;
  while (!args.empty()) {
    const std::string_view pair = args.substr(0, args.find('&'));
    args.remove_prefix(std::min(args.size(), pair.size() + 1));
    if (!pair.starts_with("callback=")) continue;
    const std::string_view value = pair.substr(9);
    const bool plain = std::ranges::all_of(value, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
    return plain ? std::string(value) : std::string();
  }
  return {};
}

bool read_folder(Exchange& exchange, const std::string& folder, std::vector<Entry>& entries) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) {
    fail_opening(exchange, "opendir()", folder, errno);
    return false;
  }
  while (const dirent* found = ::readdir(dir.get())) {
    if (found->d_name[0] == '.') continue;
    Entry entry;
    entry.name = found->d_name;
    struct stat status{};
    const std::string path = folder + entry.name;
    if (::stat(path.c_str(), &status) != 0 && ::lstat(path.c_str(), &status) != 0) continue;
    entry.folder = S_ISDIR(status.st_mode);
    entry.file = S_ISREG(status.st_mode);
    entry.size = static_cast<std::uint64_t>(status.st_size);
    entry.modified = status.st_mtime;
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries,
                    [](const Entry& a, const Entry& b) { return a.folder != b.folder ? a.folder : a.name < b.name; });
  return true;
}

}  // namespace

io::Task<bool> serve_listing(Exchange& exchange) {
  const auto& settings = config::files_of(exchange.settings());
  const std::string folder = file_path(exchange, exchange.path);
  // Reading a large folder may take its time: the pool's threads wait for it, not the clients of this one.
  std::vector<Entry> entries;
  if (leaves_root(exchange, folder) || !read_folder(exchange, folder, entries)) {
    if (!exchange.local) exchange.reply(403, Reason::file_forbidden);
    co_return true;
  }
  std::string body;
  std::string_view type = "text/html";
  switch (settings.autoindex_format) {
    case Listing::html: {
      const auto& filters = exchange.settings().body_filters;
      const bool utf8 = filters && filters->charset && http::iequals(filters->charset->constant(), "utf-8");
      body = list_html(entries, exchange.path, settings, utf8);
      break;
    }
    case Listing::json:
      body = list_json(entries, {});
      type = "application/json";
      break;
    case Listing::jsonp: {
      const std::string callback = callback_of(exchange);
      body = list_json(entries, callback);
      type = callback.empty() ? "application/json" : "application/javascript";
      break;
    }
    case Listing::xml:
      body = list_xml(entries);
      type = "text/xml; charset=utf-8";
      break;
  }
  make_local_head(exchange, 200, type, exchange.arena.copy(body));
  forget_length(exchange);
  co_return true;
}

}  // namespace gatehouse::exchange
