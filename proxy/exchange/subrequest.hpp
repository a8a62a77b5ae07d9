// Requests that an exchange makes of its own server: auth_request, mirror, additions, slices.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/exchange/downstream.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/io/child.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Takes a subrequest's response: its head stays in the subrequest's Exchange::response, its body is kept up to a bound or dropped.
class CollectingDownstream : public Downstream {
 public:
  /// `most`: bytes of the body to keep; what is beyond is dropped.
  explicit CollectingDownstream(std::size_t most) : most_(most) {}

  void use_settings(const config::LocationSettings&) noexcept override {}
  io::Task<Result<std::string_view>> read_body() override;
  bool body_finished() const noexcept override { return true; }
  void cancel_read_body() noexcept override {}
  const http::Fields* request_trailers() const noexcept override { return nullptr; }
  io::Task<Result<void>> send_interim(const ResponseHeadOut& head) override;
  io::Task<Result<void>> send_head(const ResponseHeadOut& head, std::string_view body, bool complete) override;
  io::Task<Result<void>> send_body(std::string_view body, bool complete, const http::Fields* trailers) override;
  bool head_sent() const noexcept override { return head_sent_; }
  std::uint64_t bytes_sent() const noexcept override { return total_; }
  std::uint64_t body_bytes_sent() const noexcept override { return total_; }
  std::uint64_t request_bytes() const noexcept override { return 0; }
  void watch_client(io::Stream*) noexcept override {}
  bool client_gone() const noexcept override { return false; }
  io::Task<Result<void>> tunnel(const ResponseHeadOut& head, io::Stream& upstream, std::string_view early,
                                Milliseconds idle_timeout) override;
  void close_after_response() noexcept override {}
  void abort() noexcept override { aborted_ = true; }

  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  [[nodiscard]] bool aborted() const noexcept override { return aborted_; }

 protected:
  void note_head() noexcept { head_sent_ = true; }

 private:
  void keep(std::string_view piece);

  std::size_t most_;
  std::string body_;
  std::uint64_t total_ = 0;
  bool head_sent_ = false;
  bool aborted_ = false;
};

/// Takes a slice and sends its body behind what the parent has sent already, at the pace of the parent's client.
class AppendingDownstream final : public CollectingDownstream {
 public:
  explicit AppendingDownstream(Exchange& parent) : CollectingDownstream(0), parent_(parent) {}
  io::Task<Result<void>> send_head(const ResponseHeadOut& head, std::string_view body, bool complete) override;
  io::Task<Result<void>> send_body(std::string_view body, bool complete, const http::Fields* trailers) override;
  void watch_client(io::Stream* upstream) noexcept override { parent_.downstream.watch_client(upstream); }
  bool client_gone() const noexcept override { return parent_.downstream.client_gone(); }

 private:
  Exchange& parent_;
};

/// Why the parent's proxy_pass is run again: for the cache alone, when nobody gets the response, or for what follows a slice.
enum class Repeat : std::uint8_t { for_cache, next_slice };

/// What a subrequest is given of its parent's body.
enum class SubrequestBody : std::uint8_t { none, of_parent };

/// One subrequest. The parent must outlive it. It enters at the server's rewriting with a path of its own, may reach internal
/// locations, is not limited, authenticated or judged by the WAF again, is not counted, and is logged where log_subrequest says so.
class Subrequest {
 public:
  /// `uri`: a path with optional arguments, as configured; it is kept. `keep`: bytes of the response's body to keep. With
  /// `of_parent` the parent's body must have been collected; the method is the parent's then, else GET.
  Subrequest(Exchange& parent, std::string_view uri, SubrequestBody body, std::size_t keep);
  /// Asks the parent's upstream again, in the parent's own place and for its URI.
  Subrequest(Exchange& parent, Repeat purpose);
  ~Subrequest();
  Subrequest(const Subrequest&) = delete;
  Subrequest& operator=(const Subrequest&) = delete;

  [[nodiscard]] io::Task<void> run();
  [[nodiscard]] Exchange& exchange() noexcept { return exchange_; }
  [[nodiscard]] int status() const noexcept { return downstream_->aborted() ? 502 : exchange_.response.status; }
  [[nodiscard]] const std::string& body() const noexcept { return downstream_->body(); }

 private:
  const std::string uri_;
  const bool repeats_ = false;
  http::RequestSemantics semantics_;
  std::unique_ptr<CollectingDownstream> downstream_;
  Exchange exchange_;
};

/// Subrequests that run beside their exchange (mirror). Must be joined before it goes.
class BackgroundSubrequests {
 public:
  void start(Exchange& parent, std::string_view uri, SubrequestBody body);
  void start(Exchange& parent, Repeat purpose);
  [[nodiscard]] io::Task<void> join();

 private:
  struct Running {
    Running(Exchange& parent, std::string_view uri, SubrequestBody body);
    Running(Exchange& parent, Repeat purpose);
    static io::Task<Result<bool>> drive(Subrequest& subrequest);
    Subrequest subrequest;
    io::Child<Result<bool>> child;
  };
  std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace gatehouse::exchange
