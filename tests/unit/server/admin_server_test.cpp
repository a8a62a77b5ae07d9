#include "proxy/server/admin_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proxy/server/listening_sockets.hpp"

namespace gatehouse::server {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string metrics() { return "m 1\n"; }

int status(std::string_view method, std::string_view target, Readiness readiness = Readiness::ready) {
  return answer_admin(method, target, readiness, metrics).status;
}

TEST(AdminAnswer, knows_three_paths_and_two_methods) {
  EXPECT_EQ(answer_admin("GET", "/metrics", Readiness::ready, metrics).body, "m 1\n");
  EXPECT_EQ(status("GET", "/metrics?name[]=x"), 200);
  EXPECT_EQ(status("HEAD", "/healthz"), 200);
  EXPECT_EQ(status("POST", "/metrics"), 405);
  EXPECT_EQ(status("GET", "/"), 404);
  EXPECT_EQ(status("GET", "/metrics/"), 404);
  EXPECT_EQ(status("POST", "/x"), 404);
}

TEST(AdminAnswer, readiness_follows_the_life_of_the_process_and_health_does_not) {
  EXPECT_EQ(status("GET", "/readyz", Readiness::starting), 503);
  EXPECT_EQ(status("GET", "/readyz", Readiness::ready), 200);
  EXPECT_EQ(status("GET", "/readyz", Readiness::draining), 503);
  EXPECT_EQ(status("GET", "/healthz", Readiness::draining), 200);
}

/// A server on a Unix socket, and raw connections to it.
class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() : path_("/tmp/gatehouse-admin-" + std::to_string(::getpid()) + ".sock") {
    address_ = SocketAddress::unix_path(path_);
    const std::vector<WantedAddress> wanted{{address_, {}, 1}};
    sockets_ = ListeningSockets::open_missing(wanted, {}, 1);
    server_ = std::make_unique<AdminServer>(UniqueFd(::dup(sockets_.descriptors()[0])), metrics);
  }
  ~AdminServerTest() override { sockets_.close(ListeningSockets::UnixFiles::remove); }

  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    const timeval limit{10, 0};
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    sockaddr_storage storage{};
    const auto length = static_cast<socklen_t>(address_.to_sockaddr(storage));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length), 0);
    return fd;
  }

  static std::string talk(int fd, std::string_view request, std::string_view until) {
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char bytes[4096];
    while (until.empty() || !answer.ends_with(until)) {
      const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
      if (n <= 0) break;
      answer.append(bytes, static_cast<std::size_t>(n));
    }
    return answer;
  }

  std::string path_;
  SocketAddress address_;
  ListeningSockets sockets_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, answers_several_requests_on_a_connection) {
  const auto fd = connect();
  for (int i = 0; i < 3; ++i) {
    const auto answer = talk(fd.get(), "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "m 1\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  }
}

TEST_F(AdminServerTest, head_has_the_length_and_no_body) {
  const auto fd = connect();
  const auto answer = talk(fd.get(), "HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(AdminServerTest, readiness_can_change_while_it_runs) {
  const auto fd = connect();
  constexpr std::string_view kRequest = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_THAT(talk(fd.get(), kRequest, "starting\n"), StartsWith("HTTP/1.1 503"));
  server_->set_readiness(Readiness::ready);
  EXPECT_THAT(talk(fd.get(), kRequest, "ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, an_endless_head_and_a_body_end_the_connection) {
  const auto first = connect();
  const std::string head = "GET / HTTP/1.1\r\nX: " + std::string(12'000, 'x');
  EXPECT_EQ(talk(first.get(), head, ""), "");
  const auto second = connect();
  EXPECT_EQ(talk(second.get(), "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nxxxx", ""), "");
}

TEST_F(AdminServerTest, it_ends_with_connections_open) {
  const auto idle = connect();
  const auto half = connect();
  for (const auto* fd : {&idle, &half}) {
    ASSERT_NE(talk(fd->get(), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "ok\n"), "");
  }
  ASSERT_EQ(::send(half.get(), "GET /met", 8, MSG_NOSIGNAL), 8);
  server_.reset();
  char byte = 0;
  EXPECT_EQ(::recv(idle.get(), &byte, 1, 0), 0);
  EXPECT_LE(::recv(half.get(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace gatehouse::server
