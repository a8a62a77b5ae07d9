// Parameters of a syslog target, by nginx's names and messages.
#include "proxy/base/syslog.hpp"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(Syslog, HasNginxDefaults) {
  const SyslogTarget target = parse_syslog("server=10.0.0.1");
  EXPECT_EQ(target.server, "10.0.0.1");
  EXPECT_EQ(target.facility, 23);
  EXPECT_EQ(target.severity, 6);
  EXPECT_EQ(target.tag, "nginx");
  EXPECT_TRUE(target.hostname);
}

TEST(Syslog, TakesEveryParameter) {
  const SyslogTarget target = parse_syslog("server=unix:/dev/log,nohostname,facility=kern,severity=emerg,tag=a_1");
  EXPECT_EQ(target.server, "unix:/dev/log");
  EXPECT_EQ(target.facility, 0);
  EXPECT_EQ(target.severity, 0);
  EXPECT_EQ(target.tag, "a_1");
  EXPECT_FALSE(target.hostname);
}

TEST(Syslog, RefusesWhatNginxRefuses) {
  const auto told = [](const std::string& text) -> std::string {
    try {
      (void)parse_syslog(text);
      return "";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(told("facility=local0"), "no syslog server specified");
  EXPECT_EQ(told("server=a,server=b"), "duplicate syslog \"server\"");
  EXPECT_EQ(told("server=a,facility=x"), "unknown syslog facility \"x\"");
  EXPECT_EQ(told("server=a,severity=x"), "unknown syslog severity \"x\"");
  EXPECT_EQ(told("server=a,tag=" + std::string(33, 'a')), "syslog tag length exceeds 32");
  EXPECT_EQ(told("server=a,tag=a b"), "syslog \"tag\" only allows alphanumeric characters and underscore");
  EXPECT_EQ(told("server=a,x"), "unknown syslog parameter \"x\"");
}

}  // namespace
}  // namespace gatehouse
