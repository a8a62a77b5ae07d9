// A response that is kept beside being relayed: in the cache, or as proxy_store's file.
#include <fmt/format.h>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/date.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {

// Fetches the rest of the body into the cache as fast as the upstream sends it, however fast the client reads.
io::Task<Result<bool>> UpstreamRun::fill_cache(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                               StoredBody& stored) {
  const std::uint64_t rate = rate_from_upstream();
  while (!body.finished()) {
    auto pulling = pull(body, rate);
    const auto piece = co_await pulling;
    if (!piece) {
      ex_.log(LogLevel::error, fmt::format("{} while reading upstream", describe(piece.error())));
      ex_.reason = piece.error().reason;
      stored.failed = true;
      break;
    }
    if (!writer()->append(*piece)) {
      ex_.log_errno("write()", writer()->path());
      stored.failed = true;
      break;
    }
    stored.available += piece->size();
    stored.grown->notify_all();
  }
  stored.complete = !stored.failed;
  stored.grown->notify_all();
  if (!stored.complete) co_return false;
  auto leaving = let_go(semantics, body);
  co_await leaving;
  finish_writing();  // others are served from now on; the client of this exchange may take his time
  co_return true;
}

// Stores the response and sends what is stored. One that is here whole goes to the client from memory.
io::Task<bool> UpstreamRun::relay_through_cache(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                                std::string_view first) {
  ex_.downstream.watch_client(nullptr);
  const bool answers =
      !ex_.local;  // a local reply (412) takes the response's place, and the response is stored all the same
  if (!writer()->append(first)) {
    ex_.log_errno("write()", writer()->path());
    give_up_writing();
    if (!answers) co_return false;
    auto relaying = relay_body(semantics, body, first);
    co_return co_await relaying;
  }
  if (body.finished()) {
    finish_writing();
    if (!answers) co_return true;
    if (ex_.is_head()) first = {};
    auto relaying = relay_body(semantics, body, first);
    co_return co_await relaying;
  }
  io::Signal grown(ex_.thread.reactor);
  StoredBody stored{.writer = writer(), .grown = &grown, .available = first.size()};
  io::Child<Result<bool>> filling(fill_cache(semantics, body, stored));
  if (answers) {
    bool settled = true;
    if (ex_.route->shapes_output || ex_.allow_ranges) settled = settle_output(ex_);
    if (settled) {
      if (!http::has_content(ex_.response.status)) {
        auto sending = send_response_head(ex_, {}, true);
        const auto sent = co_await sending;
        if (!sent) ex_.fail_sending(sent.error());
      } else {
        auto sending = send_stored_body(ex_, stored);
        co_await sending;
      }
    }
  }
  auto joining = filling.join();
  const Result<bool> filled = co_await joining;
  if (filled && *filled) co_return true;
  give_up_writing();
  co_return false;
}

// proxy_store: a 200's body becomes a file, with the time that the origin says it has.
void UpstreamRun::begin_copy(const http::ResponseHead& head) {
  const auto& transform = config::transform_of(ex_.settings());
  if (head.status != 200 || ex_.is_head() || !ex_.settings().proxy_buffering || writer() != nullptr) return;
  const std::string_view named = evaluate(*transform.store, ex_);
  std::string path = named.empty() ? file_path(ex_, ex_.path) : std::string(named);
  if (!path.starts_with('/')) path = ex_.generation->shared->config->prefix + "/" + path;
  if (leaves_root(ex_, path) || path.find('\0') != std::string::npos || path.ends_with('/')) {
    ex_.log(LogLevel::error, fmt::format("\"{}\" is no path to store a response at", path));
    return;
  }
  std::optional<std::int64_t> modified;
  if (const auto field = head.fields.value(http::FieldId::last_modified)) modified = http::parse_http_date(*field);
  if (auto file = cache::EntryWriter::begin_copy(path, transform.store_mode, modified.value_or(-1))) {
    copy_.emplace(std::move(*file));
  } else {
    ex_.log_errno("open()", path);
  }
}

void UpstreamRun::finish_writing() {
  if (!copy_) return finish_storing(ex_);
  if (!copy_->commit()) ex_.log_errno("rename()", copy_->path());
}

void UpstreamRun::give_up_writing() noexcept {
  if (copy_) {
    copy_.reset();
  } else {
    give_up_storing(ex_);
  }
}

}  // namespace gatehouse::exchange
