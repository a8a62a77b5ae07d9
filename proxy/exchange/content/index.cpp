// index and random_index: which file of a folder answers for it.
#include <cerrno>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fmt/format.h>

#include "proxy/config/settings/files.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

// One of the folder's files by chance; those that begin with a dot don't count (nginx's random_index module).
bool try_random(Exchange& exchange) {
  const std::string folder = file_path(exchange, exchange.path);
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) {
    fail_opening(exchange, "opendir()", folder, errno);
    return true;
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] == '.') continue;
    const std::string name(entry->d_name);
    const bool file = entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK
                          ? kind_of(exchange, folder + name).kind == FileKind::Kind::file
                          : entry->d_type == DT_REG;
    if (file) names.push_back(name);
  }
  if (names.empty()) return false;
  std::uint64_t& state = exchange.thread.random_state;
  state = state * 6364136223846793005U + 1442695040888963407U;
  const std::string& name = names[(state >> 33) % names.size()];
  (void)redirect_internally(exchange, exchange.arena.concat(exchange.path, std::string_view(name)), exchange.args);
  return true;
}

}  // namespace

bool try_index(Exchange& exchange) {
  const auto& files = config::files_of(exchange.settings());
  if (files.random_index && try_random(exchange)) return true;
  static const std::vector<config::ComplexValue> kDefault = {config::ComplexValue(std::string("index.html"))};
  bool folder_checked = false;
  for (const auto& entry : files.index.empty() ? kDefault : files.index) {
    const std::string_view name = evaluate(entry, exchange);
    if (name.empty()) continue;
    if (name.starts_with('/')) {
      (void)redirect_internally(exchange, name, exchange.args);
      return true;
    }
    const std::string path = file_path(exchange, exchange.arena.concat(exchange.path, name));
    const FileKind found = kind_of(exchange, path);
    if (found.kind != FileKind::Kind::missing) {
      (void)redirect_internally(exchange, exchange.arena.concat(exchange.path, name), exchange.args);
      return true;
    }
    if (found.error != ENOENT) {
      if (found.error == ENOTDIR || found.error == ENAMETOOLONG) {
        exchange.log(LogLevel::error, fmt::format("\"{}\" is not found ({}: Not a directory)", path, found.error));
        exchange.reply(404, Reason::file_not_found);
      } else {
        fail_opening(exchange, "stat()", path, found.error);
      }
      return true;
    }
    if (folder_checked) continue;
    folder_checked = true;
    std::string folder = file_path(exchange, exchange.path);
    const FileKind parent = kind_of(exchange, folder);
    if (parent.kind == FileKind::Kind::directory) continue;
    if (parent.kind == FileKind::Kind::missing && parent.error == EACCES) {
      fail_opening(exchange, "stat()", folder, EACCES);
      return true;
    }
    if (exchange.settings().log_not_found) {
      exchange.log(LogLevel::error, fmt::format("\"{}\" is not found (2: No such file or directory)", path));
    }
    exchange.reply(404, Reason::file_not_found);
    return true;
  }
  return false;
}

}  // namespace gatehouse::exchange
