#include "proxy/server/listening_sockets.hpp"

#include <filesystem>
#include <set>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace gatehouse::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

int int_option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

// A port that was free a moment ago.
std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return port_of(fd.get());
}

WantedAddress loopback(std::uint16_t port, std::uint32_t sockets) {
  WantedAddress wanted{SocketAddress::ipv4({127, 0, 0, 1}, port), {}, sockets};
  wanted.options.reuseport = true;
  return wanted;
}

TEST(ListeningSockets, one_for_each_thread_shares_the_address) {
  const std::vector wanted{loopback(free_port(), 3)};
  const auto sockets = ListeningSockets::open_missing(wanted, {}, 1);
  const auto descriptors = sockets.descriptors();
  ASSERT_EQ(descriptors.size(), 3u);
  for (const int fd : descriptors) {
    EXPECT_EQ(port_of(fd), wanted[0].address.port());
    EXPECT_EQ(int_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_EQ(int_option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
  }
}

TEST(ListeningSockets, an_address_somebody_else_listens_on_is_refused_in_nginx_words) {
  const std::vector wanted{loopback(free_port(), 2)};
  const auto theirs = ListeningSockets::open_missing(wanted, {}, 1);
  try {
    (void)ListeningSockets::open_missing(wanted, {}, 1);
    FAIL() << "joined the sockets of somebody else";
  } catch (const ListenError& error) {
    EXPECT_THAT(error.texts(), ElementsAre(HasSubstr("bind() to " + wanted[0].address.to_string() +
                                                     " failed (98: Address already in use)")));
  }
}

TEST(ListeningSockets, a_change_opens_what_is_new_and_closes_what_is_gone) {
  const auto kept = loopback(free_port(), 2);
  const auto gone = loopback(free_port(), 2);
  const auto fresh = loopback(free_port(), 2);
  const std::vector before{kept, gone};
  const std::vector after{kept, fresh};
  auto held = ListeningSockets::open_missing(before, {}, 1);
  const int kept_fd = held.groups().at(kept.address)[0].get();
  auto opened = ListeningSockets::open_missing(after, held, 1);
  ASSERT_EQ(opened.groups().size(), 1u);
  EXPECT_EQ(opened.groups().begin()->first, fresh.address);
  held.merge(std::move(opened));
  held.retain(after, ListeningSockets::UnixFiles::remove);
  ASSERT_EQ(held.groups().size(), 2u);
  EXPECT_EQ(held.groups().at(kept.address)[0].get(), kept_fd);
  EXPECT_FALSE(held.groups().contains(gone.address));
}

TEST(ListeningSockets, more_threads_add_sockets_to_an_address) {
  const auto port = free_port();
  auto held = ListeningSockets::open_missing(std::vector{loopback(port, 1)}, {}, 1);
  auto opened = ListeningSockets::open_missing(std::vector{loopback(port, 3)}, held, 1);
  EXPECT_EQ(opened.descriptors().size(), 2u);
}

TEST(ListeningSockets, a_failure_leaves_nothing_open) {
  const auto taken = loopback(free_port(), 1);
  const auto theirs = ListeningSockets::open_missing(std::vector{taken}, {}, 1);
  const auto free = loopback(free_port(), 1);
  EXPECT_THROW((void)ListeningSockets::open_missing(std::vector{free, taken}, {}, 1), ListenError);
  EXPECT_NO_THROW((void)ListeningSockets::open_missing(std::vector{free}, {}, 1));
}

TEST(ListeningSockets, a_stale_unix_socket_file_is_replaced_and_a_live_one_is_not) {
  const auto path = std::filesystem::temp_directory_path() / ("gatehouse-unit-" + std::to_string(::getpid()) + ".sock");
  const std::vector<WantedAddress> wanted{{SocketAddress::unix_path(path.string()), {}, 1}};
  auto first = ListeningSockets::open_missing(wanted, {}, 1);
  EXPECT_THROW((void)ListeningSockets::open_missing(wanted, {}, 1), ListenError);
  first.close(ListeningSockets::UnixFiles::keep);
  ASSERT_TRUE(std::filesystem::exists(path));
  auto second = ListeningSockets::open_missing(wanted, {}, 1);
  EXPECT_EQ(second.descriptors().size(), 1u);
  second.close(ListeningSockets::UnixFiles::remove);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ListeningSockets, tcp_and_udp_of_one_port_are_apart_and_both_are_inherited) {
  auto tcp = loopback(free_port(), 2);
  auto udp = tcp;
  udp.options.udp = true;
  const std::vector wanted{tcp, udp};
  auto sockets = ListeningSockets::open_missing(wanted, {}, 1);
  EXPECT_EQ(sockets.groups().at(tcp.bind_address()).size(), 2u);
  EXPECT_EQ(sockets.groups().at(udp.bind_address()).size(), 2u);
  EXPECT_THROW((void)ListeningSockets::open_missing(std::vector{udp}, {}, 1), ListenError);  // the port is taken
  std::vector<int> copies;
  for (const int fd : sockets.descriptors()) copies.push_back(::dup(fd));
  ListeningSockets adopted;
  adopted.adopt(copies);
  EXPECT_EQ(adopted.groups().size(), 2u);
  EXPECT_TRUE(ListeningSockets::open_missing(wanted, adopted, 1).empty());
  adopted.retain(std::vector{tcp}, ListeningSockets::UnixFiles::keep);
  EXPECT_FALSE(adopted.groups().contains(udp.bind_address()));
}

TEST(ListeningSockets, inherited_ones_are_recognised_by_what_they_listen_on) {
  const std::vector wanted{loopback(free_port(), 2)};
  auto sockets = ListeningSockets::open_missing(wanted, {}, 1);
  std::vector<int> copies;
  for (const int fd : sockets.descriptors()) copies.push_back(::dup(fd));
  const UniqueFd no_socket(::open("/dev/null", O_RDONLY));
  copies.push_back(no_socket.get());
  ListeningSockets adopted;
  adopted.adopt(copies);
  ASSERT_EQ(adopted.groups().size(), 1u);
  EXPECT_EQ(adopted.groups().at(wanted[0].address).size(), 2u);
  EXPECT_TRUE(ListeningSockets::open_missing(wanted, adopted, 1).empty());
}

TEST(SocketsOfThread, every_socket_has_a_thread_and_every_thread_a_socket) {
  for (std::uint32_t count = 1; count <= 5; ++count) {
    for (std::uint32_t threads = 1; threads <= 5; ++threads) {
      std::set<std::uint32_t> served;
      for (std::uint32_t thread = 0; thread < threads; ++thread) {
        const auto mine = sockets_of_thread(count, thread, threads);
        EXPECT_FALSE(mine.empty());
        served.insert(mine.begin(), mine.end());
      }
      EXPECT_EQ(served.size(), count);
    }
  }
  EXPECT_THAT(sockets_of_thread(4, 1, 2), ElementsAre(1, 3));
  EXPECT_THAT(sockets_of_thread(1, 1, 2), ElementsAre(0));
}

TEST(SocketsText, is_nginx_format_and_survives_nonsense) {
  EXPECT_EQ(sockets_to_text(std::vector{7, 8}), "7;8;");
  EXPECT_THAT(sockets_from_text("7;8;"), ElementsAre(7, 8));
  EXPECT_THAT(sockets_from_text("7;;x;9z;-1;1;10"), ElementsAre(7, 10));
  EXPECT_TRUE(sockets_from_text("").empty());
}

}  // namespace
}  // namespace gatehouse::server
