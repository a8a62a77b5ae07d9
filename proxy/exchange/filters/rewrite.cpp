#include "proxy/exchange/filters/rewrite.hpp"

#include <cstdint>
#include <string>
#include <variant>

#include <fmt/format.h>
#include <sys/stat.h>

#include "proxy/config/parse_value.hpp"
#include "proxy/exchange/captures.hpp"
#include "proxy/exchange/decided_answer.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/body_limit.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/target.hpp"

namespace gatehouse::exchange {
namespace {

enum class Flow : std::uint8_t { next, stop, ended };  ///< `ended`: the exchange has its answer, or it was decided

// What a `rewrite` makes of a URI.
struct Rewritten {
  std::string path;
  std::string args;
  bool has_args = false;
};

// Groups that go into arguments or into a redirect are escaped if the client had escaped anything (nginx's
// ngx_http_script_copy_capture_code): they were taken from the decoded path.
bool client_escaped(const Exchange& exchange) {
  return exchange.path_had_escapes || exchange.semantics.path.find('+') != std::string_view::npos;
}

Rewritten expand(Exchange& exchange, const config::RewriteStep& step, bool redirect) {
  Rewritten result;
  const bool escapes = client_escaped(exchange);
  for (const auto& piece : step.replacement.pieces()) {
    std::string& out = result.has_args ? result.args : result.path;
    if (piece.variable) {
      const std::string_view value = evaluate(*piece.variable, exchange).value_or(std::string_view{});
      const bool group = piece.variable->kind == config::VariableRef::Kind::capture;
      if (group && escapes && (redirect || result.has_args)) {
        http::escape_uri(value, http::EscapeSet::args, out);
      } else {
        out.append(value);
      }
      continue;
    }
    const std::size_t mark = result.has_args || redirect ? std::string::npos : piece.literal.find('?');
    out.append(piece.literal, 0, mark);
    if (mark == std::string::npos) continue;
    result.has_args = true;
    result.args.append(piece.literal, mark + 1);
  }
  return result;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nginx's ngx_unescape_uri(NGX_UNESCAPE_REDIRECT): up to the '?', escapes of what may stand plain in a URL are undone.
std::string unescape_for_redirect(std::string_view text) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == '?') break;
    if (c != '%' || i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
      out.push_back(c);
      ++i;
      continue;
    }
    const int code = hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]);
    if (code == '?') {
      out.push_back('?');
      i += 3;
      break;
    }
    if (code > '%' && code < 0x7f) {
      out.push_back(static_cast<char>(code));
    } else {
      out.append(text.substr(i, 3));
    }
    i += 3;
  }
  return out.append(text.substr(i));
}

bool is_kind(const char* path, config::Condition::Test test) {
  struct stat status{};
  if (::stat(path, &status) != 0) return false;
  switch (test) {
    case config::Condition::Test::file: return S_ISREG(status.st_mode);
    case config::Condition::Test::directory: return S_ISDIR(status.st_mode);
    case config::Condition::Test::executable: return (status.st_mode & S_IXUSR) != 0;
    case config::Condition::Test::exists: return true;
    case config::Condition::Test::truth:
    case config::Condition::Test::equal:
    case config::Condition::Test::match: break;
  }
  return false;
}

// What rewrite_log asks for, in nginx's words (ngx_http_script.c).
bool tells_steps(const Exchange& exchange) { return exchange.settings().rewrite_log || exchange.debugs(); }
bool match_and_tell(Exchange& exchange, const config::Regex& regex, std::string_view subject) {
  const bool matched = match_and_keep(exchange, regex, subject);
  if (tells_steps(exchange)) {
    exchange.log(LogLevel::notice,
                 fmt::format("\"{}\" {} \"{}\"", regex.pattern(), matched ? "matches" : "does not match", subject));
  }
  return matched;
}

bool holds(Exchange& exchange, const config::Condition& condition) {
  using Test = config::Condition::Test;
  const std::string_view subject = evaluate(condition.subject, exchange);
  bool result = false;
  switch (condition.test) {
    case Test::truth: result = !subject.empty() && subject != "0"; break;
    case Test::equal: result = subject == evaluate(condition.operand, exchange); break;
    case Test::match: result = match_and_tell(exchange, *condition.regex, subject); break;
    case Test::file:
    case Test::directory:
    case Test::exists:
    case Test::executable: result = is_kind(std::string(subject).c_str(), condition.test); break;
  }
  return result != condition.negated;
}

/// One program's run over an exchange.
class ProgramRun {
 public:
  explicit ProgramRun(Exchange& exchange) : ex_(exchange) {}

  Flow run(const config::Program& program) {
    for (const auto& step : program) {
      const Flow flow = std::visit(*this, step);
      if (flow != Flow::next) return flow;
    }
    return Flow::next;
  }
  /// Whether the location has to be found again.
  [[nodiscard]] bool uri_changed() const noexcept { return uri_changed_; }
  [[nodiscard]] Step step() const noexcept { return step_; }

  Flow operator()(const config::SetStep& set) {
    const std::string_view value = evaluate(set.value, ex_);
    if (set.target.kind == config::VariableRef::Kind::user) {
      ex_.set_variable(set.target.index, value);
    } else if (all_variables()[set.target.index].name == "limit_rate") {
      ex_.limit_rate = config::parse_size(value, config::Gigabytes::accepted).value_or(0);
    } else {
      ex_.args = value;
      ex_.raw_target_valid = false;
    }
    return Flow::next;
  }

  Flow operator()(const config::RewriteStep& rewrite) {
    using Flag = config::RewriteStep::Flag;
    if (!match_and_tell(ex_, *rewrite.regex, ex_.path)) return Flow::next;
    if (rewrite.flag == Flag::redirect || rewrite.flag == Flag::permanent) return redirect(rewrite);
    Rewritten made = expand(ex_, rewrite, false);
    if (made.path.empty()) {
      ex_.fail(Reason::rewrite_empty);
      return end(Step::answered);
    }
    ex_.path = ex_.arena.copy(made.path);
    if (made.has_args) {
      if (rewrite.append_arguments && !ex_.args.empty()) made.args.append("&").append(ex_.args);
      ex_.args = ex_.arena.copy(made.args);
    } else if (!rewrite.append_arguments) {
      ex_.args = {};
    }
    ex_.internal = true;
    ex_.raw_target_valid = false;
    if (tells_steps(ex_))
      ex_.log(LogLevel::notice, fmt::format("rewritten data: \"{}\", args: \"{}\"", ex_.path, ex_.args));
    uri_changed_ = rewrite.flag != Flag::stop;
    if (rewrite.flag == Flag::stop) ex_.location_prefix_valid = false;
    return rewrite.flag == Flag::none ? Flow::next : Flow::stop;
  }

  Flow operator()(const config::ReturnAction& action) { return end(decide_return(ex_, action)); }

  Flow operator()(const config::BreakStep&) {
    if (uri_changed_) ex_.location_prefix_valid = false;
    uri_changed_ = false;
    return Flow::stop;
  }

  Flow operator()(const config::IfStep& condition) {
    if (!holds(ex_, condition.condition)) return Flow::next;
    if (condition.settings) enter(ex_, *condition.settings);
    return run(condition.program);
  }

 private:
  Flow end(Step step) {
    step_ = step;
    return Flow::ended;
  }

  Flow redirect(const config::RewriteStep& rewrite) {
    std::string target = unescape_for_redirect(expand(ex_, rewrite, true).path);
    if (rewrite.append_arguments && !ex_.args.empty()) {
      target.append(rewrite.sets_arguments ? "&" : "?").append(ex_.args);
    }
    if (tells_steps(ex_)) ex_.log(LogLevel::notice, fmt::format("rewritten redirect: \"{}\"", target));
    const int status = rewrite.flag == config::RewriteStep::Flag::permanent ? 301 : 302;
    return end(decide_redirect(ex_, status, ex_.arena.copy(target)));
  }

  Exchange& ex_;
  bool uri_changed_ = false;
  Step step_ = Step::next;
};

// The program of the current location (`changed`: whether the URI has to be looked up again). `ended` as Flow::ended.
Flow run_program(Exchange& exchange, const config::Program& program, bool& changed, Step& step) {
  ProgramRun run(exchange);
  const Flow flow = run.run(program);
  changed = run.uri_changed();
  step = run.step();
  return flow;
}

}  // namespace

Step rewrite_and_route(Exchange& exchange) {
  bool changed = true;
  Step step = Step::next;
  const config::Location& root = exchange.server->root;
  if (exchange.resume == Resume::server) {
    if (!root.program.empty()) {
      if (run_program(exchange, root.program, changed, step) == Flow::ended) return step;
      changed = true;
    }
  } else {
    changed = false;
  }
  exchange.resume = Resume::server;
  for (;;) {
    if (changed) {
      if (find_location(exchange) == Step::answered) return Step::answered;
      if (check_announced_body(exchange) == Step::answered) return Step::answered;
    }
    const config::Location& location = *exchange.route->location;
    if (&location == &root || location.program.empty()) return Step::next;
    if (run_program(exchange, location.program, changed, step) == Flow::ended) return step;
    if (!changed) return Step::next;
    if (exchange.route->rules) exchange.left_with_rules = exchange.route;
    if (--exchange.uri_changes_left == 0) {
      exchange.fail(Reason::rewrite_cycle, exchange.arena.copy(fmt::format("while processing \"{}\"", exchange.path)));
      return Step::answered;
    }
  }
}

}  // namespace gatehouse::exchange
