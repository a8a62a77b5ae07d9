#include "proxy/server/command_line.hpp"

#include <gtest/gtest.h>

namespace gatehouse::server {
namespace {

using Words = std::vector<std::string_view>;

CommandLine good(const Words& words) {
  auto result = parse_command_line(words, "/home/me");
  EXPECT_TRUE(std::holds_alternative<CommandLine>(result));
  return std::get<CommandLine>(std::move(result));
}

std::string bad(const Words& words) {
  auto result = parse_command_line(words, "/home/me");
  EXPECT_TRUE(std::holds_alternative<CommandLineError>(result));
  return std::get<CommandLineError>(std::move(result)).text;
}

TEST(CommandLine, without_options_it_runs_the_default_configuration) {
  const auto line = good({});
  EXPECT_EQ(line.command, Command::run);
  EXPECT_EQ(line.prefix, "/etc/gatehouse/");
  EXPECT_EQ(line.configuration, "gatehouse.conf");
  EXPECT_FALSE(line.quiet);
}

TEST(CommandLine, letters_may_stand_together_and_values_may_be_attached) {
  const auto line = good({"-tq", "-c/x.conf", "-p", "/srv", "-g", "daemon off;", "-estderr"});
  EXPECT_EQ(line.command, Command::test);
  EXPECT_TRUE(line.quiet);
  EXPECT_EQ(line.configuration, "/x.conf");
  EXPECT_EQ(line.prefix, "/srv/");
  EXPECT_EQ(line.global_directives, "daemon off;");
  EXPECT_EQ(line.error_log, "stderr");
}

TEST(CommandLine, explaining_a_url_is_a_test_of_the_configuration) {
  const auto line = good({"-t", "--explain", "http://a/"});
  EXPECT_EQ(line.command, Command::test);
  EXPECT_EQ(line.explained_url, "http://a/");
}

TEST(CommandLine, a_relative_file_is_meant_from_where_one_stands_unless_a_prefix_is_given) {
  EXPECT_EQ(good({"-c", "conf/demo.conf"}).prefix, "/home/me/");
  EXPECT_EQ(good({"-c", "conf/demo.conf", "-p", "/srv/"}).prefix, "/srv/");
  EXPECT_EQ(good({"-c", "/conf/demo.conf"}).prefix, "/etc/gatehouse/");
  EXPECT_EQ(good({"-p", "site"}).prefix, "/home/me/site/");
}

TEST(CommandLine, every_signal_has_its_name) {
  EXPECT_EQ(good({"-s", "stop"}).signal, ControlSignal::stop);
  EXPECT_EQ(good({"-s", "quit"}).signal, ControlSignal::quit);
  EXPECT_EQ(good({"-s", "reopen"}).signal, ControlSignal::reopen);
  EXPECT_EQ(good({"-sreload"}).signal, ControlSignal::reload);
  EXPECT_EQ(good({"-s", "reload"}).command, Command::signal);
}

TEST(CommandLine, of_several_commands_the_harmless_one_wins) {
  EXPECT_EQ(good({"-s", "stop", "-t"}).command, Command::test);
  EXPECT_EQ(good({"-T", "-t"}).command, Command::dump);
  EXPECT_EQ(good({"-tV"}).command, Command::build_version);
  EXPECT_EQ(good({"-?"}).command, Command::help);
}

TEST(CommandLine, long_options) {
  EXPECT_EQ(good({"--list-directives"}).format, ListFormat::text);
  EXPECT_EQ(good({"--list-directives=markdown"}).format, ListFormat::markdown);
  EXPECT_EQ(good({"--check-waf-rules"}).command, Command::check_waf_rules);
  const auto line = good({"--make-certificate", "run", "a.example", "10.0.0.1"});
  EXPECT_EQ(line.command, Command::make_certificate);
  EXPECT_EQ(line.certificate_directory, "run");
  EXPECT_EQ(line.certificate_names, (std::vector<std::string>{"a.example", "10.0.0.1"}));
  EXPECT_EQ(bad({"--explain"}), "option \"--explain\" requires URL");
}

TEST(CommandLine, errors_are_worded_as_nginx_words_them) {
  EXPECT_EQ(bad({"-x"}), "invalid option: \"x\"");
  EXPECT_EQ(bad({"surplus"}), "invalid option: \"surplus\"");
  EXPECT_EQ(bad({"-"}), "invalid option: \"-\"");
  EXPECT_EQ(bad({"-c"}), "option \"-c\" requires file name");
  EXPECT_EQ(bad({"-p"}), "option \"-p\" requires directory name");
  EXPECT_EQ(bad({"-e", ""}), "option \"-e\" requires file name");
  EXPECT_EQ(bad({"-g"}), "option \"-g\" requires parameter");
  EXPECT_EQ(bad({"-s"}), "option \"-s\" requires parameter");
  EXPECT_EQ(bad({"-s", "dance"}), "invalid option: \"-s dance\"");
  EXPECT_EQ(bad({"--frobnicate"}), "invalid option: \"--frobnicate\"");
  EXPECT_EQ(bad({"--make-certificate"}), "option \"--make-certificate\" requires directory name");
}

}  // namespace
}  // namespace gatehouse::server
