#include "proxy/server/admin_server.hpp"

#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <pthread.h>
#include <sys/socket.h>

#include "proxy/server/metrics_export.hpp"

namespace gatehouse::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

constexpr std::size_t kConnectionLimit = 64;
constexpr std::uint32_t kHeadLimit = 8 * 1024;
constexpr int kRequestsPerConnection = 100;
constexpr std::chrono::seconds kTimeout{10};
constexpr std::chrono::milliseconds kAcceptPause{100};

AdminReply text_reply(int status, std::string body) { return {status, "text/plain; charset=utf-8", std::move(body)}; }

}  // namespace

AdminReply answer_admin(std::string_view method, std::string_view target, Readiness readiness,
                        const std::function<std::string()>& metrics) {
  const std::string_view path = target.substr(0, target.find('?'));
  const bool known = path == "/metrics" || path == "/healthz" || path == "/readyz";
  if (!known) return text_reply(404, "There are /metrics, /healthz and /readyz.\n");
  if (method != "GET" && method != "HEAD") return text_reply(405, "Only GET and HEAD.\n");
  if (path == "/metrics") return {200, kMetricsContentType, metrics()};
  if (path == "/healthz") return text_reply(200, "ok\n");
  switch (readiness) {
    case Readiness::starting: return text_reply(503, "starting\n");
    case Readiness::ready: return text_reply(200, "ok\n");
    case Readiness::draining: return text_reply(503, "draining\n");
  }
  return text_reply(503, "unknown\n");
}

struct AdminServer::Impl {
  Impl(UniqueFd listener_, std::function<std::string()> metrics_)
      : listener(std::move(listener_)),
        metrics(std::move(metrics_)),
        acceptor(context, listener.get()),
        pause(context) {}

  class Session;

  void accept();
  ~Impl() { (void)acceptor.release(); }

  UniqueFd listener;
  std::function<std::string()> metrics;
  std::atomic<Readiness> readiness{Readiness::starting};
  std::size_t sessions = 0;
  bool accepting = true;
  asio::io_context context{1};  // after what the sessions that die with it touch
  /// Waits for the listening socket; accept4() itself is called on the descriptor, whose address family Asio need not know.
  asio::posix::stream_descriptor acceptor;
  asio::steady_timer pause;
  std::thread thread;
};

/// One connection; kept alive by its pending operation.
class AdminServer::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Impl& server, Protocol::socket socket) : server_(server), stream_(std::move(socket)) { ++server_.sessions; }
  ~Session() { --server_.sessions; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeadLimit);
    parser_->body_limit(0);
    stream_.expires_after(kTimeout);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (!failed) self->write();
    });
  }

 private:
  void write() {
    const auto& request = parser_->get();
    AdminReply reply;
    try {
      reply =
          answer_admin({request.method_string().data(), request.method_string().size()},
                       {request.target().data(), request.target().size()}, server_.readiness.load(), server_.metrics);
    } catch (const std::exception& error) {
      reply = {500, "text/plain; charset=utf-8", std::string(error.what()) + "\n"};
    }
    const bool keep_alive = request.keep_alive() && ++requests_ < kRequestsPerConnection;
    response_ = {};
    response_.version(request.version());
    response_.result(static_cast<unsigned>(reply.status));
    response_.set(http::field::content_type, beast::string_view(reply.content_type.data(), reply.content_type.size()));
    response_.set(http::field::cache_control, "no-store");
    if (reply.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive);
    response_.content_length(reply.body.size());
    if (request.method() != http::verb::head) response_.body() = std::move(reply.body);
    stream_.expires_after(kTimeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](beast::error_code failed, std::size_t) {
                        if (!failed && keep_alive) self->read();
                      });
  }

  Impl& server_;
  Stream stream_;
  beast::flat_buffer buffer_{2 * kHeadLimit};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  int requests_ = 0;
};

void AdminServer::Impl::accept() {
  acceptor.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failed) {
    if (failed || !accepting) return;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd socket(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      pause.expires_after(kAcceptPause);
      pause.async_wait([this](boost::system::error_code canceled) {
        if (!canceled && accepting) accept();
      });
      return;
    }
    if (socket && sessions < kConnectionLimit) {
      Protocol::socket stream(context);
      boost::system::error_code refused;
      stream.assign(Protocol(peer.ss_family, 0), socket.get(), refused);
      if (!refused) {
        (void)socket.release();
        std::make_shared<Session>(*this, std::move(stream))->read();
      }
    }
    accept();
  });
}

AdminServer::AdminServer(UniqueFd listener, std::function<std::string()> metrics)
    : impl_(std::make_unique<Impl>(std::move(listener), std::move(metrics))) {
  impl_->accept();
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "gh-admin");
    const auto work = asio::make_work_guard(impl->context);
    impl->context.run();
  });
}

AdminServer::~AdminServer() {
  impl_->context.stop();
  impl_->thread.join();
}

void AdminServer::set_readiness(Readiness readiness) noexcept { impl_->readiness.store(readiness); }

void AdminServer::stop_accepting() {
  asio::post(impl_->context, [impl = impl_.get()] {
    impl->accepting = false;
    boost::system::error_code ignored;
    impl->acceptor.cancel(ignored);
  });
}

}  // namespace gatehouse::server
