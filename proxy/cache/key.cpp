#include "proxy/cache/key.hpp"

#include <utility>

#include "proxy/base/ascii.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::cache {
namespace {

// Calls `each` with every member of a comma-separated list that is not empty.
template <class Each>
void for_members(std::string_view list, Each&& each) {
  http::for_each_element(list, [&](std::string_view member) {
    if (!member.empty()) each(member);
    return true;
  });
}

}  // namespace

std::optional<Levels> Levels::parse(std::string_view text) noexcept {
  Levels levels;
  for (auto& level : levels.digits) {
    if (text.empty() || (text.front() != '1' && text.front() != '2')) return std::nullopt;
    level = static_cast<std::uint8_t>(text.front() - '0');
    text.remove_prefix(1);
    if (text.empty()) return levels;
    if (text.front() != ':') return std::nullopt;
    text.remove_prefix(1);
  }
  return std::nullopt;
}

std::string path_of(const Digest& digest, Levels levels) {
  const std::string name = hex(digest);
  std::string path;
  std::size_t end = name.size();
  for (const std::uint8_t count : levels.digits) {
    if (count == 0) break;
    end -= count;
    path.append(name, end, count).push_back('/');
  }
  return path + name;
}

Digest variant_of(const Digest& key, std::string_view vary, const http::Fields& request) {
  std::string text(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  for_members(vary, [&](std::string_view name) {
    for (const char c : name) text.push_back(to_lower(c));
    text.push_back(':');
    bool first = true;
    for (const auto& field : request) {
      if (!http::iequals(field.name, name)) continue;
      for_members(field.value, [&](std::string_view member) {
        if (!std::exchange(first, false)) text.push_back(',');
        text.append(member);
      });
    }
    text.append("\r\n");
  });
  return digest_of(text);
}

}  // namespace gatehouse::cache
