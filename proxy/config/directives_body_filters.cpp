// Rows of what changes a response on its way to the client: compression, substitution, charsets, additions, expires, trailers, rates.
#include <algorithm>
#include <array>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/body_filters.hpp"
#include "proxy/config/settings/compression.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using C = CompressionSettings;
using B = BodyFilterSettings;
using H = HeaderSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

// The listed types stand beside the default ones, which are always meant (nginx's ngx_http_types_slot).
template <auto Member>
constexpr Action types() {
  return {[](const Use& use) {
            auto& set = target<OwnerOf<Member>>(use.level).*Member;
            if (use.first) set = OwnerOf<Member>{}.*Member;
            for (std::size_t i = 1; i <= use.count(); ++i) {
              if (use[i] == "*") {
                set.any = true;
              } else if (!set.types.insert(lower_case(use[i])).second) {
                use.level.binder->warn(use.statement, i, fmt::format("duplicate MIME type \"{}\"", use[i]));
              }
            }
          },
          [](const Level& level) -> std::string {
            const auto* set = shown<Member>(level);
            if (set == nullptr) return "";
            if (set->any) return "*";
            std::string text;
            for (const auto& type : set->types) text += (text.empty() ? "" : " ") + type;
            return text;
          },
          "MIME-TYPE..."};
}

constexpr std::array<Choice<std::uint32_t>, 9> kProxied{{{"off", gzip_proxied_off},
                                                         {"expired", gzip_proxied_expired},
                                                         {"no-cache", gzip_proxied_no_cache},
                                                         {"no-store", gzip_proxied_no_store},
                                                         {"private", gzip_proxied_private},
                                                         {"no_last_modified", gzip_proxied_no_last_modified},
                                                         {"no_etag", gzip_proxied_no_etag},
                                                         {"auth", gzip_proxied_auth},
                                                         {"any", gzip_proxied_any}}};
constexpr std::array<Choice<int>, 2> kVersions{{{"1.0", 10}, {"1.1", 11}}};

void set_gzip_disable(const Use& use) {
  auto& settings = target<C>(use.level);
  if (use.first) {
    settings.gzip_disable.clear();
    settings.gzip_disable_msie6 = false;
  }
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i] == "msie6" || use[i] == "degradation") {
      settings.gzip_disable_msie6 |= use[i] == "msie6";
      continue;
    }
    settings.gzip_disable.push_back(use.level.binder->compile_regex(use[i], true, i));
  }
}
std::string show_gzip_disable(const Level& level) {
  const auto* settings = read_target<C>(level);
  if (settings == nullptr) return "";
  std::string text = settings->gzip_disable_msie6 ? "msie6" : "";
  for (const auto& regex : settings->gzip_disable) text += (text.empty() ? "\"" : " \"") + regex->pattern() + "\"";
  return text;
}

void set_brotli_window(const Use& use) {
  auto& window = slot<&C::brotli_window>(use);
  const ByteCount size = read_size(use);
  for (int bits = 10; bits <= 24; ++bits) {
    if (size == ByteCount{1} << bits) {
      window = bits;
      return;
    }
  }
  throw Invalid{"must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, 128k, 256k, 512k, 1m, 2m, 4m, 8m or 16m", 1, {}};
}
std::string show_brotli_window(const Level& level) {
  const auto* settings = read_target<C>(level);
  return settings == nullptr ? "" : format_size(ByteCount{1} << settings->brotli_window);
}

void add_sub_filter(const Use& use) {
  auto& list = target<B>(use.level).sub_filter;
  if (use.first) list.clear();
  if (use[1].empty()) throw Invalid{"empty search pattern", 1, {}};
  list.push_back({read_value(use, 1), read_value(use, 2)});
}
std::string show_sub_filters(const Level& level) {
  const auto* settings = read_target<B>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& rule : settings->sub_filter) {
    text += fmt::format("{}\"{}\" \"{}\"", text.empty() ? "" : "; ", rule.match.source(), rule.replacement.source());
  }
  return text;
}

template <auto Member>
constexpr Action charset_value() {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            member.reset();
            if (use[1] != "off") member = read_value(use);
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            return member == nullptr ? "" : *member ? (*member)->source() : "off";
          },
          "CHARSET | off"};
}

std::optional<unsigned> hex_byte(std::string_view text) {
  if (text.empty() || text.size() > 2) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10)
                                                  : 16U;
    if (digit == 16) return std::nullopt;
    value = value * 16 + digit;
  }
  return value;
}

void set_charset_map(const Use& use) {
  const std::string from = lower_case(use[1]);
  const std::string to = lower_case(use[2]);
  if (from == to)
    throw Invalid{fmt::format("\"charset_map\" between the same charsets \"{}\" and \"{}\"", use[1], use[2]), 2, {}};
  auto& http = *use.level.http;
  auto maps = http.charset_maps ? std::make_shared<CharsetMaps>(*http.charset_maps) : std::make_shared<CharsetMaps>();
  const bool utf8 = to == "utf-8";
  CharsetTable forward;
  CharsetTable backward;
  for (std::size_t i = 0; i < 256; ++i) {
    const auto text = i < 128 ? std::string(1, static_cast<char>(i)) : std::string("?");
    forward[i] = text;
    backward[i] = text;
  }
  std::map<std::string, char, std::less<>> sequences;
  for (const auto& entry : use.statement.block) {
    const auto source = hex_byte(entry.name());
    if (entry.has_block || entry.argument_count() != 1) throw Invalid{"invalid parameters number", 0, {}};
    if (!source) throw Invalid{fmt::format("invalid value \"{}\"", entry.name()), 0, "a byte in hexadecimal"};
    const std::string& target_text = entry[1];
    if (utf8) {
      std::string bytes;
      for (std::size_t at = 0; at < target_text.size(); at += 2) {
        const auto byte = hex_byte(std::string_view(target_text).substr(at, 2));
        if (!byte || target_text.size() % 2 != 0 || target_text.size() > 8) {
          throw Invalid{fmt::format("invalid value \"{}\"", target_text), 0, "up to four bytes in hexadecimal"};
        }
        bytes.push_back(static_cast<char>(*byte));
      }
      forward[*source] = bytes;
      sequences[bytes] = static_cast<char>(*source);
    } else {
      const auto byte = hex_byte(target_text);
      if (!byte) throw Invalid{fmt::format("invalid value \"{}\"", target_text), 0, "a byte in hexadecimal"};
      forward[*source] = std::string(1, static_cast<char>(*byte));
      backward[*byte] = std::string(1, static_cast<char>(*source));
    }
  }
  if (!maps->tables.try_emplace({from, to}, std::move(forward)).second) {
    throw Invalid{fmt::format("duplicate \"charset_map\" between \"{}\" and \"{}\"", use[1], use[2]), 1, {}};
  }
  if (utf8) {
    maps->from_utf8[{to, from}] = std::move(sequences);
  } else {
    maps->tables[{to, from}] = std::move(backward);
  }
  http.charset_maps = std::move(maps);
}

template <auto Member>
constexpr Action uri() {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            member.reset();
            if (!use[1].empty()) member = use[1];
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            return member == nullptr || !*member ? "" : **member;
          },
          "URI"};
}

void set_expires(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& settings = target<H>(use.level);
  settings.expires.reset();
  settings.expires_value.reset();
  std::size_t word = 1;
  settings.expires_modified = false;
  if (use.count() == 2) {
    if (use[1] != "modified")
      throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, "only \"modified\" may stand before the time"};
    settings.expires_modified = true;
    word = 2;
  }
  if (has_variable(use[word])) {
    settings.expires_value = read_value(use, word);
    return;
  }
  settings.expires = Expires::parse(use[word], settings.expires_modified);
  if (!settings.expires) refuse(use, word, "invalid value", "a time, @TIME of the day, epoch, max or off");
}
std::string show_expires(const Level& level) {
  const auto* settings = read_target<H>(level);
  if (settings == nullptr) return "";
  if (settings->expires_value) return settings->expires_value->source();
  if (!settings->expires) return "off";
  switch (settings->expires->kind) {
    case Expires::Kind::off: return "off";
    case Expires::Kind::epoch: return "epoch";
    case Expires::Kind::max: return "max";
    case Expires::Kind::access: return std::to_string(settings->expires->seconds);
    case Expires::Kind::modified: return "modified " + std::to_string(settings->expires->seconds);
    case Expires::Kind::daily: return "@" + std::to_string(settings->expires->seconds);
  }
  return "";
}

constexpr std::array<Choice<FieldInheritance>, 3> kInheritance{
    {{"on", FieldInheritance::on}, {"off", FieldInheritance::off}, {"merge", FieldInheritance::merge}}};

void add_trailer(const Use& use) {
  HeaderRule rule{use[1], read_value(use, 2), false};
  if (use.count() == 3) {
    if (use[3] != "always") throw Invalid{fmt::format("invalid parameter \"{}\"", use[3]), 3, "only \"always\""};
    rule.always = true;
  }
  auto& list = target<H>(use.level).add_trailer;
  if (use.first) list.clear();
  list.push_back(std::move(rule));
}
std::string show_trailers(const Level& level) {
  const auto* settings = read_target<H>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& rule : settings->add_trailer) {
    text += fmt::format("{}{} \"{}\"{}", text.empty() ? "" : "; ", rule.name, rule.value.source(),
                        rule.always ? " always" : "");
  }
  return text;
}

template <auto Member>
constexpr Action rate() {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            if (!has_variable(use[1])) (void)read_size(use, 1, Gigabytes::accepted);
            member = read_value(use);
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            return member == nullptr ? "" : *member ? (*member)->source() : "0";
          },
          "SIZE"};
}

void check_gzip_window(const Use& use) {
  const ByteCount size = read_size(use);
  for (int bits = 9; bits <= 15; ++bits) {
    if (size == ByteCount{1} << bits) return;
  }
  throw Invalid{"must be 512, 1k, 2k, 4k, 8k, 16k, or 32k", 1, {}};
}
void check_gzip_hash(const Use& use) {
  const ByteCount size = read_size(use);
  for (int bits = 8; bits <= 17; ++bits) {
    if (size == ByteCount{1} << bits) return;
  }
  throw Invalid{"must be 256, 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k", 1, {}};
}

const Directive kRows[] = {
    {"gzip", kHsl | kLocationIf, kOne, flag<&C::gzip>(),
     "Whether responses are compressed for clients that accept gzip."},
    {"gzip_types", kHsl, kOneOrMore, types<&C::gzip_types>(), "Content types to compress; text/html always is."},
    {"gzip_comp_level", kHsl, kOne, number<&C::gzip_comp_level, 1, 9>(), "How hard to compress."},
    {"gzip_min_length", kHsl, kOne, size<&C::gzip_min_length>(),
     "Shorter responses are left alone (by their Content-Length)."},
    {"gzip_vary", kHsl, kOne, flag<&C::gzip_vary>(),
     "Whether `Vary: Accept-Encoding` is added where compression depends on it."},
    {"gzip_proxied", kHsl, kOneOrMore,
     mask<&C::gzip_proxied, kProxied>(
         "off | expired | no-cache | no-store | private | no_last_modified | no_etag | auth | any ..."),
     "Which responses are compressed for requests that came through a proxy (a Via field)."},
    {"gzip_http_version", kHsl, kOne, choice<&C::gzip_http_version, kVersions>("1.0 | 1.1"),
     "Lowest HTTP version to compress for."},
    {"gzip_disable",
     kHsl,
     kOneOrMore,
     {set_gzip_disable, show_gzip_disable, "REGEX... | msie6"},
     "User agents that get nothing compressed."},
    {"gzip_buffers", kHsl, kTwo, accept_buffers(), "Accepted without effect: it tunes nginx's insides.",
     Support::tuning},
    {"gzip_window",
     kHsl,
     kOne,
     {check_gzip_window, nullptr, "SIZE"},
     "Accepted without effect: the window is 32k.",
     Support::tuning},
    {"gzip_hash",
     kHsl,
     kOne,
     {check_gzip_hash, nullptr, "SIZE"},
     "Accepted without effect: it tunes nginx's insides.",
     Support::tuning},
    {"postpone_gzipping", kHsl, kOne, accept_size(), "Accepted without effect: it tunes nginx's insides.",
     Support::tuning},
    {"gzip_no_buffer", kHsl, kOne, accept_flag(), "Accepted without effect: it tunes nginx's insides.",
     Support::tuning},
    {"gunzip", kHsl, kOne, flag<&C::gunzip>(),
     "Whether gzipped responses are unpacked for clients that don't accept gzip."},
    {"gunzip_buffers", kHsl, kTwo, accept_buffers(), "Accepted without effect: it tunes nginx's insides.",
     Support::tuning},
    {"brotli", kHsl | kLocationIf, kOne, flag<&C::brotli>(),
     "Whether responses are compressed for clients that accept br."},
    {"brotli_types", kHsl, kOneOrMore, types<&C::brotli_types>(),
     "Content types to compress with brotli; text/html always is."},
    {"brotli_comp_level", kHsl, kOne, number<&C::brotli_comp_level, 0, 11>(), "How hard to compress with brotli."},
    {"brotli_window", kHsl, kOne, {set_brotli_window, show_brotli_window, "SIZE"}, "Brotli's window."},
    {"brotli_min_length", kHsl, kOne, size<&C::brotli_min_length>(),
     "Shorter responses are left alone (by their Content-Length)."},
    {"brotli_buffers", kHsl, kTwo, accept_buffers(), "Accepted without effect, as in the module itself.",
     Support::tuning},
    {"sub_filter",
     kHsl,
     kTwo,
     {add_sub_filter, show_sub_filters, "STRING REPLACEMENT"},
     "Replaces a string in responses, upper and lower case alike."},
    {"sub_filter_once", kHsl, kOne, flag<&B::sub_filter_once>(),
     "Whether only the first one of each string is replaced."},
    {"sub_filter_last_modified", kHsl, kOne, flag<&B::sub_filter_last_modified>(),
     "Whether Last-Modified stays when strings are replaced."},
    {"sub_filter_types", kHsl, kOneOrMore, types<&B::sub_filter_types>(),
     "Content types to replace in; text/html always is."},
    {"charset", kHsl | kLocationIf, kOne, charset_value<&B::charset>(),
     "Charset that Content-Type names, and that bodies are converted to."},
    {"source_charset", kHsl | kLocationIf, kOne, charset_value<&B::source_charset>(), "Charset that bodies have."},
    {"override_charset", kHsl | kLocationIf, kOne, flag<&B::override_charset>(),
     "Whether a charset that an upstream names is converted too."},
    {"charset_types", kHsl, kOneOrMore, types<&B::charset_types>(), "Content types that get a charset."},
    {"charset_map",
     kHttp,
     {2, 2, true},
     {set_charset_map, nullptr, "CHARSET CHARSET { BYTE BYTES; ... }"},
     "How the bytes of one charset are written in another one, in hexadecimal."},
    {"add_before_body", kHsl, kOne, uri<&B::add_before_body>(), "URI whose answer is put before the body."},
    {"add_after_body", kHsl, kOne, uri<&B::add_after_body>(), "URI whose answer is put behind the body."},
    {"addition_types", kHsl, kOneOrMore, types<&B::addition_types>(),
     "Content types that get additions; text/html always does."},
    {"slice", kHsl, kOne, size<&B::slice>(),
     "Bytes of the slices that a response is fetched in, where $slice_range is sent as Range; 0: it is fetched whole."},
    {"expires",
     kHsl | kLocationIf,
     {1, 2, false},
     {set_expires, show_expires, "[modified] TIME | @TIME | epoch | max | off"},
     "Expires and Cache-Control by the time of access, of modification, or of the day."},
    {"add_trailer",
     kHsl | kLocationIf,
     {2, 3, false},
     {add_trailer, show_trailers, "NAME VALUE [always]"},
     "Adds a trailer field behind the body."},
    {"add_header_inherit", kHsl, kOne, choice<&H::header_inherit, kInheritance>("on | off | merge"),
     "Whether fields of the level above hold: if there are none here, never, or beside those here."},
    {"add_trailer_inherit", kHsl, kOne, choice<&H::trailer_inherit, kInheritance>("on | off | merge"),
     "The same of add_trailer."},
    {"early_hints", kHsl, kOneOrMore, values<&H::early_hints>(),
     "103 responses of upstreams are passed on if all of these are neither empty nor 0; without the directive, "
     "always."},
    {"limit_rate", kHsl | kLocationIf, kOne, rate<&H::limit_rate>(),
     "Bytes per second of a response to the client; 0 is no limit."},
    {"limit_rate_after", kHsl | kLocationIf, kOne, rate<&H::limit_rate_after>(),
     "Bytes of a response before limit_rate holds."},
};

}  // namespace

std::optional<Expires> Expires::parse(std::string_view text, bool modified) {
  Expires expires;
  if (!modified) {
    if (text == "epoch") expires.kind = Kind::epoch;
    if (text == "max") expires.kind = Kind::max;
    if (text == "off") expires.kind = Kind::off;
    if (text == "epoch" || text == "max" || text == "off") return expires;
  }
  expires.kind = modified ? Kind::modified : Kind::access;
  bool minus = false;
  if (text.starts_with('@')) {
    if (modified) return std::nullopt;
    text.remove_prefix(1);
    expires.kind = Kind::daily;
  } else if (text.starts_with('+')) {
    text.remove_prefix(1);
  } else if (text.starts_with('-')) {
    text.remove_prefix(1);
    minus = true;
  }
  const auto time = parse_time(text, TimeUnit::seconds);
  if (!time) return std::nullopt;
  expires.seconds = std::chrono::duration_cast<std::chrono::seconds>(*time).count() * (minus ? -1 : 1);
  if (expires.kind == Kind::daily && expires.seconds > 24 * 60 * 60) return std::nullopt;
  return expires;
}

std::span<const Directive> body_filter_directives() { return kRows; }

}  // namespace gatehouse::config
