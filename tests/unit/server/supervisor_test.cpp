#include "proxy/server/supervisor.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/server/worker_process.hpp"

namespace gatehouse::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(RestartPolicy, the_first_death_is_answered_at_once_and_a_crash_loop_slows_down) {
  RestartPolicy policy;
  EXPECT_EQ(policy.after_death(seconds{1}), milliseconds{0});
  EXPECT_EQ(policy.after_death(seconds{1}), milliseconds{100});
  EXPECT_EQ(policy.after_death(seconds{1}), milliseconds{200});
  for (int i = 0; i < 50; ++i) EXPECT_LE(policy.after_death(seconds{0}), seconds{5});
  EXPECT_EQ(policy.after_death(seconds{0}), seconds{5});
}

TEST(RestartPolicy, a_worker_that_lived_is_replaced_at_once_again) {
  RestartPolicy policy;
  for (int i = 0; i < 5; ++i) (void)policy.after_death(seconds{1});
  EXPECT_EQ(policy.after_death(std::chrono::hours{1}), milliseconds{0});
  EXPECT_EQ(policy.after_death(seconds{1}), milliseconds{0});
}

TEST(NeedsNewWorker, only_for_what_belongs_to_the_process) {
  const config::MainSettings now;
  config::MainSettings next = now;
  next.admin_listen = SocketAddress::ipv4({127, 0, 0, 1}, 9000);
  next.worker_shutdown_timeout = milliseconds{1000};
  EXPECT_FALSE(needs_new_worker(now, next, Privileges::kept));
  EXPECT_TRUE(needs_new_worker(now, next, Privileges::given_up));
  next.worker_processes = event_thread_count(now) + 1;
  EXPECT_TRUE(needs_new_worker(now, next, Privileges::kept));
  next = now;
  next.waf_queue += 1;
  EXPECT_TRUE(needs_new_worker(now, next, Privileges::kept));
  next = now;
  next.env.emplace_back("A=1");
  EXPECT_TRUE(needs_new_worker(now, next, Privileges::kept));
}

class PidFileTest : public testing::Test {
 protected:
  PidFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gatehouse-pid-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/pid";
  }
  ~PidFileTest() override { std::filesystem::remove_all(folder_); }

  std::string error_of_opening() const {
    try {
      const PidFile second(path_);
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }

  std::string folder_, path_;
};

TEST_F(PidFileTest, names_this_process_from_write_to_remove) {
  PidFile file(path_);
  EXPECT_THROW((void)read_pid_file(path_), std::runtime_error);
  file.write();
  EXPECT_EQ(read_pid_file(path_), ::getpid());
  file.remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, is_refused_while_somebody_holds_it_and_taken_over_from_the_dead) {
  PidFile first(path_);
  first.write();
  EXPECT_THAT(error_of_opening(), HasSubstr(std::to_string(::getpid())));
  first.forget();
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(error_of_opening(), "");
}

TEST_F(PidFileTest, makes_room_for_a_new_program_and_comes_back) {
  PidFile old(path_);
  old.write();
  old.move_aside();
  {
    PidFile fresh(path_);
    fresh.write();
    EXPECT_TRUE(std::filesystem::exists(path_ + ".oldbin"));
    fresh.remove();
  }
  old.move_back();
  EXPECT_EQ(read_pid_file(path_), ::getpid());
  EXPECT_FALSE(std::filesystem::exists(path_ + ".oldbin"));
}

TEST_F(PidFileTest, nonsense_and_absence_are_told_in_nginx_words) {
  try {
    (void)read_pid_file(path_);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "open() \"" + path_ + "\" failed (2: No such file or directory)");
  }
  for (const char* text : {"x\n", "", "12 13\n", "-5\n", "99999999999999\n"}) {
    std::ofstream(path_) << text;
    EXPECT_THROW((void)read_pid_file(path_), std::runtime_error) << text;
  }
}

}  // namespace
}  // namespace gatehouse::server
