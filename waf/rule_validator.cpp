// Trying a source in a child process. Source and answer travel as netstrings ("LENGTH:BYTES,"), so that any text passes
// unchanged.
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "waf/rule_loader.hpp"
#include "waf/rule_set.hpp"

extern char** environ;

namespace gatehouse::waf {
namespace {

constexpr std::chrono::seconds kDeadline{60};

// First field of each record in either direction.
constexpr std::string_view kLevel = "level", kFile = "file", kText = "text", kRemote = "remote";
constexpr std::string_view kPiece = "piece", kError = "error", kGood = "good";

class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {}

  std::optional<std::string> next() {
    std::size_t size = 0;
    const auto [end, problem] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
    const auto at = static_cast<std::size_t>(end - text_.data());
    if (problem != std::errc{} || at >= text_.size() || text_[at] != ':' || text_.size() - at - 1 <= size)
      return std::nullopt;
    std::string field(text_.substr(at + 1, size));
    text_.remove_prefix(at + 1 + size + 1);
    return field;
  }

  std::optional<SourceLocation> location() {
    auto file = next();
    auto line = next();
    if (!file || !line) return std::nullopt;
    SourceLocation location{std::move(*file), 0};
    std::from_chars(line->data(), line->data() + line->size(), location.line);
    return location;
  }

 private:
  std::string_view text_;
};

void put(std::string& out, std::string_view field) {
  out.append(std::to_string(field.size())).append(":").append(field).append(",");
}

void put(std::string& out, const SourceLocation& location) {
  put(out, location.file);
  put(out, std::to_string(location.line));
}

std::string serialise(const RuleSetSource& source) {
  std::string out;
  for (const RuleLevel& level : source.levels) {
    put(out, kLevel);
    for (const RulePiece& piece : level.pieces) {
      if (const auto* file = std::get_if<RuleFile>(&piece)) {
        put(out, kFile);
        put(out, file->directive);
        put(out, file->path);
      } else if (const auto* text = std::get_if<RuleText>(&piece)) {
        put(out, kText);
        put(out, text->directive);
        put(out, text->text);
      } else if (const auto* remote = std::get_if<RemoteRules>(&piece)) {
        put(out, kRemote);
        put(out, remote->directive);
        put(out, remote->key);
        put(out, remote->url);
      }
    }
  }
  return out;
}

std::optional<RuleSetSource> parse(std::string_view text) {
  RuleSetSource source;
  Fields fields(text);
  while (auto kind = fields.next()) {
    if (*kind == kLevel) {
      source.levels.emplace_back();
      continue;
    }
    auto location = fields.location();
    auto first = fields.next();
    if (!location || !first || source.levels.empty()) return std::nullopt;
    auto& pieces = source.levels.back().pieces;
    if (*kind == kFile) {
      pieces.emplace_back(RuleFile{std::move(*first), std::move(*location)});
    } else if (*kind == kText) {
      pieces.emplace_back(RuleText{std::move(*first), std::move(*location)});
    } else if (*kind == kRemote) {
      auto url = fields.next();
      if (!url) return std::nullopt;
      pieces.emplace_back(RemoteRules{std::move(*first), std::move(*url), std::move(*location)});
    } else {
      return std::nullopt;
    }
  }
  return source;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

[[noreturn]] void cannot_check(const std::string& why) {
  throw RuleSetError({}, "cannot check the WAF's rules in a child process: " + why,
                     "see the system's limits on processes and memory");
}

pid_t spawn_checker(const std::string& executable, int input, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  // The loader's thread may block signals that the child needs to die of.
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = executable, argument(kCheckRulesArgument);
  std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
  pid_t child = -1;
  const int problem = ::posix_spawn(&child, executable.c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem != 0) cannot_check(std::strerror(problem));
  return child;
}

struct Answer {
  std::string text;
  bool in_time = true;
};

// What the child writes until it closes its output or the deadline passes.
Answer read_answer(int fd) {
  Answer answer;
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    const int count = left.count() <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left.count()));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {std::move(answer.text), false};
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return answer;
    answer.text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string how_it_ended(int status, bool in_time) {
  if (!in_time) return "did not finish loading them in " + std::to_string(kDeadline.count()) + " s";
  if (WIFSIGNALED(status)) return std::string("crashed while loading them (") + ::strsignal(WTERMSIG(status)) + ")";
  return "ended while loading them (exit status " + std::to_string(WEXITSTATUS(status)) + ")";
}

// Throws what the child reported; returns if it found the source good.
void judge(const Answer& answer, int status) {
  Fields fields(answer.text);
  SourceLocation last;
  while (auto kind = fields.next()) {
    if (*kind == kGood && answer.in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (*kind != kPiece && *kind != kError) continue;
    auto location = fields.location();
    if (!location) break;
    last = std::move(*location);
    if (*kind == kPiece) continue;
    auto message = fields.next();
    auto remedy = fields.next();
    if (message && remedy) throw RuleSetError(std::move(last), std::move(*message), std::move(*remedy));
  }
  throw RuleSetError(
      std::move(last), "libmodsecurity " + how_it_ended(status, answer.in_time),
      "find the line by halving the rules; known to crash: a TAB in place of the blank behind a directive's name");
}

void check_in_child(const std::string& executable, const RuleSetSource& source) {
  Descriptor input(::memfd_create("waf-rules", MFD_CLOEXEC));
  if (input.get() < 0 || !write_all(input.get(), serialise(source)) || ::lseek(input.get(), 0, SEEK_SET) != 0)
    cannot_check(std::strerror(errno));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) cannot_check(std::strerror(errno));
  Descriptor reading(ends[0]), writing(ends[1]);
  const pid_t child = spawn_checker(executable, input.get(), writing.get());
  writing.reset();
  const Answer answer = read_answer(reading.get());
  if (!answer.in_time) ::kill(child, SIGKILL);
  judge(answer, wait_for(child));
}

std::string read_input() {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

void load_all(const RuleSetSource& source) {
  std::shared_ptr<const RuleSet> outer;
  std::string hash;
  std::size_t index = 0;
  const auto announce = [](const SourceLocation& location) {
    std::string record;
    put(record, kPiece);
    put(record, location);
    write_all(STDOUT_FILENO, record);
  };
  for (const RuleLevel& level : source.levels) {
    if (level.empty()) continue;
    PreparedLevel prepared = prepare_level(level, hash, index++, 0);
    hash = prepared.hash;
    outer = compile_level(std::move(prepared), outer, announce);
  }
}

}  // namespace

RuleSetValidator spawned_validator(std::string executable) {
  return [executable = std::move(executable)](const RuleSetSource& source) { check_in_child(executable, source); };
}

int check_rules_main() {
  const auto source = parse(read_input());
  if (!source) return 2;
  std::string record;
  try {
    load_all(*source);
  } catch (const RuleSetError& error) {
    put(record, kError);
    put(record, error.location());
    put(record, error.message());
    put(record, error.remedy());
    write_all(STDOUT_FILENO, record);
    return 1;
  }
  put(record, kGood);
  return write_all(STDOUT_FILENO, record) ? 0 : 2;
}

}  // namespace gatehouse::waf
