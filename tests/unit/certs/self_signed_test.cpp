#include "certs/self_signed.hpp"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string content(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

class SelfSignedTest : public testing::Test {
 protected:
  TemporaryDirectory directory;
  std::string place = directory.path("tls/demo");
  const std::vector<std::string> names{"www.example", "*.w.example", "2001:db8::1"};
};

TEST_F(SelfSignedTest, MakesACertificateThatServesAndVerifies) {
  const auto made = make_self_signed(names, place);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE(made->created);
  EXPECT_THAT(made->text, HasSubstr("www.example, *.w.example, 2001:db8::1, localhost, 127.0.0.1, ::1"));
  EXPECT_EQ(mode_of(made->key), 0600U);
  EXPECT_EQ(mode_of(made->certificate), 0644U);

  SharedTlsState state;
  const auto server =
      build(ServerTlsSettings{.certificates = {{{made->certificate.string(), {}}, {made->key.string(), {}}}}}, state);
  EXPECT_TRUE(server->warnings().empty());
  EXPECT_THAT(server->certificates()[0].names,
              ElementsAre("www.example", "*.w.example", "2001:db8::1", "localhost", "127.0.0.1", "::1"));
  EXPECT_EQ(server->certificates()[0].key_type, "EC");
  EXPECT_EQ(server->certificates()[0].not_after - server->certificates()[0].not_before, std::chrono::hours(397 * 24));
  ClientTlsSettings settings;
  settings.verify = true;
  settings.trusted_certificate.path = made->certificate.string();
  const auto client = build(settings);
  for (const std::string name : {"localhost", "127.0.0.1", "[::1]:8443", "www.example", "sub.w.example"}) {
    Conversation talk(client->new_connection(name, "peer", nullptr), new_server_connection(server, nullptr));
    EXPECT_TRUE(talk.handshake()) << name << upstream_verification_failure(talk.client());
  }
}

TEST_F(SelfSignedTest, LeavesWhatIsThereAlone) {
  const auto first = make_self_signed(names, place);
  ASSERT_TRUE(first);
  const std::string key = content(first->key);
  const auto second = make_self_signed(std::vector<std::string>{"other.example"}, place);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->created);
  EXPECT_THAT(second->text, HasSubstr("kept the certificate"));
  EXPECT_EQ(content(first->key), key);
}

TEST_F(SelfSignedTest, KeyWithoutCertificateIsUsedForTheNewOne) {
  const auto first = make_self_signed(names, place);
  ASSERT_TRUE(first);
  const std::string key = content(first->key);
  std::filesystem::remove(first->certificate);
  const auto second = make_self_signed(names, place);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->created);
  EXPECT_EQ(content(first->key), key);
}

TEST_F(SelfSignedTest, CertificateWithoutKeyIsAnError) {
  const auto first = make_self_signed(names, place);
  ASSERT_TRUE(first);
  std::filesystem::remove(first->key);
  const auto second = make_self_signed(names, place);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr("exists but its key"));
}

TEST_F(SelfSignedTest, LeavesNoTemporaryFileBehind) {
  ASSERT_TRUE(make_self_signed(names, place));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(place)) ++files;
  EXPECT_EQ(files, 2U);
}

TEST_F(SelfSignedTest, RefusesWhatIsNoName) {
  for (const std::string name : {"", "a b", "a,DNS:evil.example", "*.", "a..b", "x/y"}) {
    const auto made = make_self_signed(std::vector<std::string>{name}, place);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().text, "invalid name \"" + name + "\" for a certificate");
  }
  EXPECT_FALSE(std::filesystem::exists(place));
}

TEST_F(SelfSignedTest, NamesTheDirectoryThatCannotBeWritten) {
  const std::string file = directory.write("file", "x");
  const auto made = make_self_signed(names, file + "/tls");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text, HasSubstr(file));
}

}  // namespace
}  // namespace gatehouse::certs::test
