// Rows of directives that tune nginx's insides: accepted so that configurations run unchanged, arguments checked, no
// effect.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kHs = kHttp | kServer;

void check_words(const Use& use, std::span<const std::string_view> words) {
  for (const auto word : words) {
    if (use[1] == word) return;
  }
  throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, did_you_mean(use[1], words)};
}

void accept_sendfile_like(const Use& use) {
  constexpr std::array<std::string_view, 3> kWords{"on", "off", "threads"};
  if (use[1].starts_with("threads=")) return;
  check_words(use, kWords);
}
void accept_file_cache(const Use& use) {
  if (use.count() == 1 && use[1] == "off") return;
  bool has_max = false;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const bool max = text.starts_with("max=") && parse_number(text.substr(4)).value_or(0) > 0;
    if (!max && !(text.starts_with("inactive=") && parse_time(text.substr(9)))) {
      throw Invalid{fmt::format("invalid \"{}\" parameter \"{}\"", use.row.name, text), i, {}};
    }
    has_max |= max;
  }
  if (!has_max) throw Invalid{fmt::format("\"{}\" must have the \"max\" parameter", use.row.name), 1, {}};
}
void accept_log_file_cache(const Use& use) {
  if (use.count() == 1 && use[1] == "off") return;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const auto name = std::string_view(use[i]).substr(0, use[i].find('='));
    if (name == "max" || name == "inactive" || name == "valid" || name == "min_uses") continue;
    throw Invalid{fmt::format("invalid parameter \"{}\"", use[i]), i, {}};
  }
}
void accept_debug_points(const Use& use) {
  if (use[1] != "stop" && use[1] != "abort") refuse(use, 1, "invalid value", "stop or abort");
}
void accept_directio(const Use& use) {
  if (use[1] != "off") (void)read_size(use, 1, Gigabytes::accepted);
}
void accept_thread_pool(const Use& use) {
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    if ((name == "threads" || name == "max_queue") && equals != std::string_view::npos &&
        parse_number(text.substr(equals + 1)))
      continue;
    throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, {}};
  }
}

constexpr std::string_view kNoEffect = "Accepted without effect: it tunes nginx's insides.";
constexpr Support kTuning = Support::tuning;

const Directive kRows[] = {
    // main and events
    {"timer_resolution", kMain, kOne, accept_time(), kNoEffect, kTuning},
    {"pcre_jit", kMain, kOne, accept_flag(), "Accepted: expressions are always compiled just in time.", kTuning},
    {"lock_file", kMain, kOne, accept_any("FILE"), kNoEffect, kTuning},
    {"debug_points", kMain, kOne, {accept_debug_points, nullptr, "abort | stop"}, kNoEffect, kTuning},
    {"google_perftools_profiles", kMain, kOne, accept_any("FILE"), kNoEffect, kTuning},
    {"ssl_object_cache_inheritable", kMain, kOne, accept_flag(), kNoEffect, kTuning},
    {"ssl_engine", kMain, kOne, accept_any("DEVICE"), kNoEffect, kTuning},
    {"thread_pool",
     kMain,
     {2, 3, false},
     {accept_thread_pool, nullptr, "NAME threads=NUMBER [max_queue=NUMBER]"},
     kNoEffect,
     kTuning},
    {"multi_accept", kEvents, kOne, accept_flag(), kNoEffect, kTuning},
    {"accept_mutex", kEvents, kOne, accept_flag(), kNoEffect, kTuning},
    {"accept_mutex_delay", kEvents, kOne, accept_time(), kNoEffect, kTuning},
    {"worker_aio_requests", kEvents, kOne, accept_number(), kNoEffect, kTuning},
    // hash tables
    {"server_names_hash_max_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"server_names_hash_bucket_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"types_hash_max_size", kHsl, kOne, accept_number(), kNoEffect, kTuning},
    {"types_hash_bucket_size", kHsl, kOne, accept_number(), kNoEffect, kTuning},
    {"variables_hash_max_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"variables_hash_bucket_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"map_hash_max_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"map_hash_bucket_size", kHttp | kStream, kOne, accept_number(), kNoEffect, kTuning},
    {"proxy_headers_hash_max_size", kHsl, kOne, accept_number(), kNoEffect, kTuning},
    {"proxy_headers_hash_bucket_size", kHsl, kOne, accept_number(), kNoEffect, kTuning},
    // memory pools and buffers
    {"connection_pool_size", kHs, kOne, accept_size(), kNoEffect, kTuning},
    {"request_pool_size", kHs, kOne, accept_size(), kNoEffect, kTuning},
    {"output_buffers", kHsl, kTwo, accept_buffers(), kNoEffect, kTuning},
    {"postpone_output", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"send_lowat", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"proxy_send_lowat", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"proxy_busy_buffers_size", kHsl, kOne, accept_size(),
     "Accepted without effect: proxy_buffers alone bound a response.", kTuning},
    {"proxy_temp_file_write_size", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"client_body_in_single_buffer", kHsl, kOne, accept_flag(), kNoEffect, kTuning},
    // files
    {"sendfile", kHsl | kLocationIf, kOne, accept_flag(), kNoEffect, kTuning},
    {"sendfile_max_chunk", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"tcp_nopush", kHsl, kOne, accept_flag(), "Accepted: head and body leave in one write.", kTuning},
    {"aio", kHsl, kOne, {accept_sendfile_like, nullptr, "on | off | threads[=POOL]"}, kNoEffect, kTuning},
    {"aio_write", kHsl, kOne, accept_flag(), kNoEffect, kTuning},
    {"directio", kHsl, kOne, {accept_directio, nullptr, "SIZE | off"}, kNoEffect, kTuning},
    {"directio_alignment", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"read_ahead", kHsl, kOne, accept_size(), kNoEffect, kTuning},
    {"open_file_cache",
     kHsl,
     {1, 2, false},
     {accept_file_cache, nullptr, "off | max=NUMBER [inactive=TIME]"},
     kNoEffect,
     kTuning},
    {"open_file_cache_valid", kHsl, kOne, accept_time(), kNoEffect, kTuning},
    {"open_file_cache_min_uses", kHsl, kOne, accept_number(), kNoEffect, kTuning},
    {"open_file_cache_errors", kHsl, kOne, accept_flag(), kNoEffect, kTuning},
    {"open_file_cache_events", kHsl, kOne, accept_flag(), kNoEffect, kTuning},
    {"open_log_file_cache",
     kHsl,
     {1, 4, false},
     {accept_log_file_cache, nullptr, "off | max=NUMBER [inactive=TIME] [min_uses=NUMBER] [valid=TIME]"},
     kNoEffect,
     kTuning},
    {"subrequest_output_buffer_size", kHsl, kOne, accept_size(), kNoEffect, kTuning},
};

}  // namespace

std::span<const Directive> tuning_directives() { return kRows; }

}  // namespace gatehouse::config
