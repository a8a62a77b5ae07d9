#include "proxy/server/control_channel.hpp"

#include <array>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gatehouse::server {
namespace {

TEST(ControlChannel, a_message_arrives_whole) {
  auto [supervisor, worker] = ControlChannel::pair();
  ASSERT_TRUE(worker.send(ControlKind::failed, 7, "one\ntwo"));
  const auto message = supervisor.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, ControlKind::failed);
  EXPECT_EQ(message->number, 7u);
  EXPECT_EQ(message->text, "one\ntwo");
  EXPECT_TRUE(message->descriptors.empty());
  EXPECT_FALSE(supervisor.receive());
  EXPECT_FALSE(supervisor.closed());
}

TEST(ControlChannel, messages_stay_apart_and_in_order) {
  auto [supervisor, worker] = ControlChannel::pair();
  ASSERT_TRUE(supervisor.send(ControlKind::reopen));
  ASSERT_TRUE(supervisor.send(ControlKind::drain, 0, "replaced"));
  EXPECT_EQ(worker.receive()->kind, ControlKind::reopen);
  const auto second = worker.receive();
  EXPECT_EQ(second->kind, ControlKind::drain);
  EXPECT_EQ(second->text, "replaced");
}

TEST(ControlChannel, descriptors_arrive_as_the_same_files_closed_on_exec) {
  auto [supervisor, worker] = ControlChannel::pair();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_TRUE(supervisor.send(ControlKind::reload, 1, {}, pipe));
  const auto message = worker.receive();
  ASSERT_TRUE(message);
  ASSERT_EQ(message->descriptors.size(), 2u);
  ASSERT_EQ(::write(message->descriptors[1].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_NE(::fcntl(message->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(ControlChannel, more_descriptors_and_text_than_a_packet_takes) {
  auto [supervisor, worker] = ControlChannel::pair();
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> many(450, file.get());
  const std::string text(100'000, 'x');
  ASSERT_TRUE(supervisor.send(ControlKind::reload, 3, text, many));
  ASSERT_TRUE(supervisor.send(ControlKind::stop));
  const auto message = worker.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, text);
  EXPECT_EQ(message->descriptors.size(), 450u);
  EXPECT_EQ(worker.receive()->kind, ControlKind::stop);
}

TEST(ControlChannel, the_other_ends_death_is_seen) {
  auto [supervisor, worker] = ControlChannel::pair();
  ASSERT_TRUE(worker.send(ControlKind::ready));
  worker.close();
  EXPECT_TRUE(supervisor.receive());
  EXPECT_FALSE(supervisor.receive());
  EXPECT_TRUE(supervisor.closed());
  EXPECT_FALSE(supervisor.send(ControlKind::stop));
}

TEST(ControlChannel, nonsense_closes_the_channel) {
  for (const std::string_view packet : {std::string_view("\x09\x01\0\0\0\0", 6), std::string_view("x")}) {
    auto [supervisor, worker] = ControlChannel::pair();
    ASSERT_EQ(::send(worker.fd(), packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
    EXPECT_FALSE(supervisor.receive());
    EXPECT_TRUE(supervisor.closed());
  }
}

}  // namespace
}  // namespace gatehouse::server
