// Rows of servers, locations, clients and responses.
#include <array>

#include "proxy/base/ascii.hpp"
#include "proxy/config/blocks.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
using S = ServerSettings;

constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kHs = kHttp | kServer;

constexpr std::array<Choice<L::BodyInFile>, 3> kBodyInFile{
    {{"off", L::BodyInFile::off}, {"on", L::BodyInFile::on}, {"clean", L::BodyInFile::clean}}};
constexpr std::array<Choice<L::LingeringClose>, 3> kLingering{
    {{"off", L::LingeringClose::off}, {"on", L::LingeringClose::on}, {"always", L::LingeringClose::always}}};

void set_keepalive_timeout(const Use& use) {
  slot<&L::keepalive_timeout>(use) = read_time(use);
  use.level.settings->keepalive_timeout_header.reset();
  if (use.count() > 1) use.level.settings->keepalive_timeout_header = read_time(use, 2, TimeUnit::seconds);
}
std::string show_keepalive_timeout(const Level& level) {
  if (level.settings == nullptr) return "";
  const auto& header = level.settings->keepalive_timeout_header;
  return format_time(level.settings->keepalive_timeout) + (header ? " " + format_time(*header) : "");
}

void set_large_buffers(const Use& use) {
  auto& number = slot<&S::large_client_header_buffers_number>(use);
  const auto count = parse_number(use[1]);
  if (!count || *count == 0 || *count > 1024) refuse(use, 1, "invalid value");
  number = static_cast<std::uint32_t>(*count);
  use.level.server_settings->large_client_header_buffers_size = read_size(use, 2);
  if (use.level.server_settings->large_client_header_buffers_size == 0) refuse(use, 2, "invalid value");
}
std::string show_large_buffers(const Level& level) {
  if (level.server_settings == nullptr) return "";
  return fmt::format("{} {}", level.server_settings->large_client_header_buffers_number,
                     format_size(level.server_settings->large_client_header_buffers_size));
}

void set_server_tokens(const Use& use) {
  auto& tokens = slot<&L::server_tokens>(use);
  if (use[1] != "on" && use[1] != "off" && use[1] != "build") {
    throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, "on, off or build"};
  }
  tokens = use[1] != "off";
}
std::string show_server_tokens(const Level& level) {
  return level.settings == nullptr ? "" : level.settings->server_tokens ? "on" : "off";
}

void add_header(const Use& use) {
  HeaderRule rule{use[1], read_value(use, 2), false};
  if (use.count() == 3) {
    if (use[3] != "always") throw Invalid{fmt::format("invalid parameter \"{}\"", use[3]), 3, "only \"always\""};
    rule.always = true;
  }
  append<&L::add_header>(use, std::move(rule));
}
std::string show_add_header(const Level& level) {
  std::string text;
  if (level.settings == nullptr || !level.settings->add_header) return text;
  for (const auto& rule : *level.settings->add_header) {
    text += fmt::format("{}{} \"{}\"{}", text.empty() ? "" : "; ", rule.name, rule.value.source(),
                        rule.always ? " always" : "");
  }
  return text;
}

// Blocks of one level add up; a level that has none takes its parent's.
void set_types(const Use& use) {
  auto& binder = *use.level.binder;
  auto types = use.first || !use.level.settings->types ? std::make_shared<MimeTypes>()
                                                       : std::make_shared<MimeTypes>(*use.level.settings->types);
  for (const auto& entry : use.statement.block) {
    if (entry.has_block) {
      binder.reporter().error(entry.place(), fmt::format("unexpected block in \"{}\"", use.row.name));
      continue;
    }
    for (std::size_t i = 1; i <= entry.argument_count(); ++i) {
      const std::string extension = lower_case(entry[i]);
      auto [found, added] = types->try_emplace(extension, entry.name());
      if (added) continue;
      binder.warn(entry, i,
                  fmt::format("duplicate extension \"{}\", content type: \"{}\", previous content type: \"{}\"",
                              entry[i], entry.name(), found->second));
      found->second = entry.name();
    }
  }
  use.level.settings->types = std::move(types);
}
std::string show_types(const Level& level) {
  std::string text;
  if (level.settings == nullptr || !level.settings->types) return text;
  for (const auto& [extension, type] : *level.settings->types) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", type, extension);
  }
  return text;
}

void set_internal(const Use& use) { use.level.location->internal = true; }
std::string show_internal(const Level& level) {
  return level.location != nullptr && level.location->internal ? "set" : "";
}

void set_body_temp_path(const Use& use) {
  auto& member = slot<&L::client_body_temp_path>(use);
  member = use.level.binder->prefix_path(use[1]);
  auto& levels = use.level.settings->client_body_temp_levels;
  levels = {};
  for (std::size_t i = 2; i <= use.count(); ++i) levels[i - 2] = static_cast<std::uint8_t>(read_number(use, i, 1, 9));
}
std::string show_body_temp_path(const Level& level) {
  return level.settings == nullptr ? "" : level.settings->client_body_temp_path;
}

const Directive kRows[] = {
    {"server",
     kHttp | kStream,
     kBlock,
     {set_server, nullptr, "{ ... }"},
     "A virtual server.",
     Support::full,
     Phase::children},
    {"location",
     kServer | kLocation,
     {1, 2, true},
     {set_location, nullptr, "[= | ~ | ~* | ^~] URI | @NAME { ... }"},
     "Settings of the requests whose URI it matches: exact, then the longest prefix, then the first regular expression "
     "unless the "
     "prefix says ^~.",
     Support::full,
     Phase::children},
    {"listen",
     kServer | kStreamServer,
     kOneOrMore,
     {set_listen, nullptr,
      "ADDRESS[:PORT] | PORT | unix:PATH [default_server] [ssl] [http2] [proxy_protocol] [backlog=NUMBER] "
      "[rcvbuf=SIZE] "
      "[sndbuf=SIZE] [deferred] [bind] [ipv6only=on|off] [reuseport] [fastopen=NUMBER] [so_keepalive=on|off|TIMES]"},
     "Where the server accepts connections.",
     Support::full,
     Phase::settings,
     "*:80, or *:8000 when not run as root"},
    {"server_name",
     kServer | kStreamServer,
     kOneOrMore,
     {set_server_name, nullptr, "NAME..."},
     "Names of the server: exact, *.example.com, .example.com, example.*, or ~regular expression."},
    {"internal",
     kLocation,
     kNoArgument,
     {set_internal, show_internal, ""},
     "Only internal redirects reach the location; clients get 404."},
    {"add_header",
     kHsl | kLocationIf,
     {2, 3, false},
     {add_header, show_add_header, "NAME VALUE [always]"},
     "Adds a response header to 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308, or to every status. Inherited "
     "only by levels "
     "that have none of their own."},
    {"server_tokens",
     kHsl,
     kOne,
     {set_server_tokens, show_server_tokens, "on | off | build"},
     "Whether answers name the version."},
    {"types",
     kHsl,
     kBlock,
     {set_types, show_types, "{ MIME-TYPE EXTENSION...; ... }"},
     "Content type of our own answers by the extension of the URI.",
     Support::full,
     Phase::settings,
     "text/html html; image/gif gif; image/jpeg jpg"},
    {"default_type", kHsl, kOne, text<&L::default_type>("MIME-TYPE"), "Content type of our own answers."},
    {"client_max_body_size", kHsl, kOne, size<&L::client_max_body_size, Gigabytes::accepted>(),
     "Largest request body; more is answered 413; 0 is no limit."},
    {"client_body_buffer_size", kHsl, kOne, size<&L::client_body_buffer_size>(),
     "Part of a request body that stays in memory."},
    {"client_body_timeout", kHsl, kOne, time<&L::client_body_timeout>(),
     "Longest pause between two reads of a request body."},
    {"client_body_min_rate", kHsl, kOne, size<&L::client_body_min_rate>(),
     "Bytes per second that a request body must bring after its first 5 s, else 408; 0 is off (Gatehouse's own)."},
    {"client_body_temp_path",
     kHsl,
     {1, 4, false},
     {set_body_temp_path, show_body_temp_path, "PATH [LEVEL [LEVEL [LEVEL]]]"},
     "Folder of request bodies that don't fit into memory; the levels name folders below it for files that have names "
     "(client_body_in_file_only)."},
    {"client_body_in_file_only", kHsl, kOne, choice<&L::client_body_in_file_only, kBodyInFile>("on | clean | off"),
     "Whether every request body that is read before it is used goes to a file of its own, $request_body_file; `clean` "
     "removes it afterwards."},
    {"msie_padding", kHsl, kOne, flag<&L::msie_padding>(),
     "Whether error pages for Internet Explorer and Chrome are padded to more than 512 bytes, as these show pages of "
     "their own for shorter ones."},
    {"msie_refresh", kHsl, kOne, flag<&L::msie_refresh>(),
     "Whether Internet Explorer gets a page that refreshes instead of a redirect."},
    {"client_header_timeout", kHs, kOne, time<&S::client_header_timeout>(),
     "Time for the whole request header (nginx: 60s)."},
    {"client_header_buffer_size", kHs, kOne, size<&S::client_header_buffer_size>(),
     "First buffer of a request header."},
    {"large_client_header_buffers",
     kHs,
     kTwo,
     {set_large_buffers, show_large_buffers, "NUMBER SIZE"},
     "More buffers for a request header: a line must fit into one of them."},
    {"max_headers", kHs, kOne, number<&S::max_headers, 1, 100000>(), "Most fields of a request header (nginx: 1000)."},
    {"ignore_invalid_headers", kHs, kOne, flag<&S::ignore_invalid_headers>(),
     "Whether fields with odd names are dropped."},
    {"underscores_in_headers", kHs, kOne, flag<&S::underscores_in_headers>(),
     "Whether field names may have underscores."},
    {"merge_slashes", kHs, kOne, flag<&S::merge_slashes>(), "Whether // in a path counts as /."},
    {"proxy_protocol_timeout", kHs | kStreamBoth, kOne, time<&S::proxy_protocol_timeout>(),
     "Time for the PROXY protocol header (nginx has it in stream only)."},
    {"send_timeout", kHsl, kOne, time<&L::send_timeout>(), "Longest pause between two writes to the client."},
    {"send_min_rate", kHsl, kOne, size<&L::send_min_rate>(),
     "Bytes per second that a client must take after the first 5 s; 0 is off (Gatehouse's own)."},
    {"keepalive_timeout",
     kHsl,
     {1, 2, false},
     {set_keepalive_timeout, show_keepalive_timeout, "TIME [HEADER-TIME]"},
     "How long an idle client connection stays open; 0 closes after each answer."},
    {"keepalive_min_timeout", kHsl, kOne, time<&L::keepalive_min_timeout>(),
     "How long an idle client connection is left open even where the worker shuts down or needs its place."},
    {"keepalive_requests", kHsl, kOne, number<&L::keepalive_requests>(), "Requests of one client connection."},
    {"keepalive_time", kHsl, kOne, time<&L::keepalive_time>(),
     "Age at which a client connection closes after its next answer."},
    {"lingering_close", kHsl, kOne, choice<&L::lingering_close, kLingering>("off | on | always"),
     "Whether to read on from a client that is still sending before its connection closes."},
    {"lingering_time", kHsl, kOne, time<&L::lingering_time>(), "Longest lingering close."},
    {"lingering_timeout", kHsl, kOne, time<&L::lingering_timeout>(), "Longest pause in a lingering close."},
    {"reset_timedout_connection", kHsl, kOne, flag<&L::reset_timedout_connection>(),
     "Whether connections that time out end with RST."},
    {"tcp_nodelay", kHsl | kStreamBoth, kOne, flag<&L::tcp_nodelay>(), "TCP_NODELAY on client connections."},
    {"absolute_redirect", kHsl, kOne, flag<&L::absolute_redirect>(), "Whether our redirects name scheme and host."},
    {"port_in_redirect", kHsl, kOne, flag<&L::port_in_redirect>(), "Whether absolute redirects name the port."},
    {"server_name_in_redirect", kHsl, kOne, flag<&L::server_name_in_redirect>(),
     "Whether absolute redirects use the first server_name instead of Host."},
    {"chunked_transfer_encoding", kHsl, kOne, flag<&L::chunked_transfer_encoding>(),
     "Chunked answers to HTTP/1.1 clients."},
};

}  // namespace

std::span<const Directive> http_directives() { return kRows; }

}  // namespace gatehouse::config
