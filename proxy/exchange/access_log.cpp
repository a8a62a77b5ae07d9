#include "proxy/exchange/access_log.hpp"

#include <algorithm>
#include <array>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

constexpr Milliseconds kDelay{20};
constexpr ByteCount kMostReserved = 64 * 1024;  // a larger buffer grows as it is used
constexpr ByteCount kLineRoom = 4096;
constexpr char kHex[] = "0123456789ABCDEF";

// nginx's default escaping: '"', '\' and bytes outside 32..126 as \xXX.
void append_standard(std::string& out, std::string_view value) {
  std::size_t plain = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if (c >= 32 && c < 127 && c != '"' && c != '\\') continue;
    out.append(value.substr(plain, i - plain));
    const std::array<char, 4> escape = {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
    out.append(escape.data(), escape.size());
    plain = i + 1;
  }
  out.append(value.substr(plain));
}

// JSON string escaping, RFC 8259 section 7.
void append_json(std::string& out, std::string_view value) {
  for (const char ch : value) {
    const auto c = static_cast<unsigned char>(ch);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (c < 0x20) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += ch;
        }
    }
  }
}

}  // namespace

void append_log_value(std::string& out, std::optional<std::string_view> value, config::LogFormat::Escape escape) {
  switch (escape) {
    case config::LogFormat::Escape::standard:
      if (value)
        append_standard(out, *value);
      else
        out += '-';
      break;
    case config::LogFormat::Escape::json:
      if (value) append_json(out, *value);
      break;
    case config::LogFormat::Escape::none:
      if (value)
        out.append(*value);
      else
        out += '-';
      break;
  }
}

namespace {

std::shared_ptr<LogFile> open_variable_path(const config::AccessLogTarget& target, Exchange& exchange) {
  try {
    return std::make_shared<LogFile>(std::string(evaluate(target.path, exchange)));
  } catch (const std::exception& error) {
    exchange.log(LogLevel::crit, error.what());
    return nullptr;
  }
}

}  // namespace

std::string& AccessLogBuffers::line_buffer(const std::shared_ptr<LogFile>& file, ByteCount limit) {
  const auto [entry, made] = buffers_.try_emplace(file);
  // The last line stands beyond the limit.
  if (made) entry->second.reserve(std::min(limit, kMostReserved) + kLineRoom);
  return entry->second;
}

void AccessLogBuffers::finish_line(const std::shared_ptr<LogFile>& file, ByteCount limit, Milliseconds delay) {
  std::string& buffer = buffers_[file];
  if (buffer.size() >= limit) {
    file->write(buffer);
    buffer.clear();
    return;
  }
  if (!flush_timer_.armed()) reactor_.arm(flush_timer_, reactor_.now() + delay);
}

void AccessLogBuffers::flush() noexcept {
  for (auto it = buffers_.begin(); it != buffers_.end();) {
    if (!it->second.empty()) {
      it->first->write(it->second);
      it->second.clear();
      ++it;
    } else if (it->first.use_count() == 1) {
      it = buffers_.erase(it);  // no configuration names it any more
    } else {
      ++it;
    }
  }
}

void write_access_log(Exchange& exchange) {
  const auto& targets = *exchange.settings().access_log;
  exchange.logging = true;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& target = targets[i];
    if (target.condition && !is_true(*target.condition, exchange)) continue;
    std::shared_ptr<LogFile> opened;
    const std::shared_ptr<LogFile>* file = &exchange.route->access_log[i];
    if (*file == nullptr) {
      opened = open_variable_path(target, exchange);
      if (!opened) continue;
      file = &opened;
    }
    std::string& line = exchange.thread.access_logs.line_buffer(*file, target.buffer);
    for (const auto& piece : target.format->text.pieces()) {
      if (piece.variable)
        append_log_value(line, evaluate(*piece.variable, exchange), target.format->escape);
      else
        line.append(piece.literal);
    }
    line.push_back('\n');
    exchange.thread.access_logs.finish_line(*file, target.buffer, target.flush.value_or(kDelay));
  }
}

}  // namespace gatehouse::exchange
