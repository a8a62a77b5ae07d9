#include "proxy/stream/access_log.hpp"

#include <string>

#include "proxy/exchange/access_log.hpp"
#include "proxy/stream/session.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {
namespace {

constexpr Milliseconds kDelay{20};

std::shared_ptr<LogFile> open_variable_path(const config::AccessLogTarget& target, Session& session) {
  try {
    return std::make_shared<LogFile>(std::string(evaluate(target.path, session)));
  } catch (const std::exception& error) {
    session.log(LogLevel::crit, error.what());
    return nullptr;
  }
}

}  // namespace

void write_access_log(Session& session) {
  const auto& targets = *session.settings().access_log;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& target = targets[i];
    if (target.condition && !is_true(*target.condition, session)) continue;
    std::shared_ptr<LogFile> file = session.server->access_log[i];
    if (!file) file = open_variable_path(target, session);
    if (!file) continue;
    auto& buffers = session.thread.access_logs;
    std::string& line = buffers.line_buffer(file, target.buffer);
    for (const auto& piece : target.format->text.pieces()) {
      if (piece.variable)
        exchange::append_log_value(line, evaluate(*piece.variable, session), target.format->escape);
      else
        line.append(piece.literal);
    }
    line.push_back('\n');
    buffers.finish_line(file, target.buffer, target.flush.value_or(kDelay));
  }
}

}  // namespace gatehouse::stream
