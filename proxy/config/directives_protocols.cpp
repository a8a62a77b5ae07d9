// Rows of HTTP/2 and HTTP/3: accepted with their arguments checked, while HTTP/1.1 is what is served. A configuration that
// asks for more is told so once.
#include <array>

#include "proxy/config/blocks.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kHs = kHttp | kServer;
constexpr Support kTuning = Support::tuning;

void note_http3(const Use& use) {
  use.level.binder->note_once("quic", use.statement, 0, "HTTP/3 is not served: nothing listens for \"quic\"",
                              "clients use the TCP listens");
}

void set_http2(const Use& use) {
  slot<&ServerSettings::http2>(use) = read_flag(use);
  if (use[1] == "on") note_http2(use, 1);
}
std::string show_http2(const Level& level) {
  if (level.server_settings == nullptr) return "";
  return level.server_settings->http2 ? "on" : "off";
}

// Is on by default in nginx, so saying "on" asks for nothing that "listen ... quic" does not ask for.
void accept_http3_flag(const Use& use) { (void)read_flag(use); }
void accept_quic_flag(const Use& use) {
  if (read_flag(use)) note_http3(use);
}

// Gone since nginx 1.25.1 (push) or 1.19.7 (the others): warned about there, and here.
void accept_obsolete(const Use& use) {
  use.level.binder->warn(use.statement, 0, fmt::format("the \"{}\" directive is obsolete, ignored", use.row.name));
}

constexpr std::string_view kHttp2Only = "Accepted without effect: HTTP/1.1 is served for now.";
constexpr std::string_view kHttp3Only = "Accepted without effect: HTTP/3 is not served.";
constexpr std::string_view kObsolete = "Accepted with nginx's warning: the directive is obsolete.";

const Directive kRows[] = {
    {"http2",
     kHs,
     kOne,
     {set_http2, show_http2, "on | off"},
     "HTTP/2 by ALPN; accepted and said once: HTTP/1.1 is served for now."},
    {"http2_max_concurrent_streams", kHs, kOne, accept_number(), kHttp2Only, kTuning},
    {"http2_recv_buffer_size", kHttp, kOne, accept_size(), kHttp2Only, kTuning},
    {"http2_body_preread_size", kHs, kOne, accept_size(), kHttp2Only, kTuning},
    {"http2_chunk_size", kHsl, kOne, accept_size(), kHttp2Only, kTuning},
    {"http2_pool_size", kHs, kOne, accept_size(), kHttp2Only, kTuning},
    {"http2_streams_index_size", kHs, kOne, accept_number(), kHttp2Only, kTuning},
    {"http2_max_concurrent_pushes", kHs, kOne, {accept_obsolete, nullptr, "NUMBER"}, kObsolete, kTuning},
    {"http2_push", kHsl, kOne, {accept_obsolete, nullptr, "URI | off"}, kObsolete, kTuning},
    {"http2_push_preload", kHsl, kOne, {accept_obsolete, nullptr, "on | off"}, kObsolete, kTuning},
    {"http2_idle_timeout", kHs, kOne, {accept_obsolete, nullptr, "TIME"}, kObsolete, kTuning},
    {"http2_recv_timeout", kHs, kOne, {accept_obsolete, nullptr, "TIME"}, kObsolete, kTuning},
    {"http2_max_field_size", kHs, kOne, {accept_obsolete, nullptr, "SIZE"}, kObsolete, kTuning},
    {"http2_max_header_size", kHs, kOne, {accept_obsolete, nullptr, "SIZE"}, kObsolete, kTuning},
    {"http2_max_requests", kHs, kOne, {accept_obsolete, nullptr, "NUMBER"}, kObsolete, kTuning},
    {"http3", kHs, kOne, {accept_http3_flag, nullptr, "on | off"}, kHttp3Only, kTuning},
    {"http3_hq", kHs, kOne, {accept_quic_flag, nullptr, "on | off"}, kHttp3Only, kTuning},
    {"http3_max_concurrent_streams", kHs, kOne, accept_number(), kHttp3Only, kTuning},
    {"http3_stream_buffer_size", kHs, kOne, accept_size(), kHttp3Only, kTuning},
    {"quic_gso", kHs, kOne, accept_flag(), kHttp3Only, kTuning},
    {"quic_retry", kHs, kOne, accept_flag(), kHttp3Only, kTuning},
    {"quic_bpf", kMain, kOne, accept_flag(), kHttp3Only, kTuning},
    {"quic_host_key", kHs, kOne, accept_any("FILE"), kHttp3Only, kTuning},
    {"quic_active_connection_id_limit", kHs, kOne, accept_number(), kHttp3Only, kTuning},
};

}  // namespace

void note_http2(const Use& use, std::size_t word) {
  use.level.binder->note_once("http2", use.statement, word, "HTTP/2 is not served yet, clients get HTTP/1.1",
                              "nothing else changes; this is said once");
}

std::span<const Directive> protocol_directives() { return kRows; }

}  // namespace gatehouse::config
