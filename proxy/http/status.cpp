#include "proxy/http/status.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace gatehouse::http {
namespace {

struct StatusRow {
  int code;
  std::string_view line;
};

constexpr std::string_view kProtocol = "HTTP/1.1 ";

constexpr std::array kRows = {StatusRow{0, ""},
#define GATEHOUSE_STATUS_ROW(code, phrase) StatusRow{code, "HTTP/1.1 " #code " " phrase "\r\n"},
                              GATEHOUSE_STATUSES(GATEHOUSE_STATUS_ROW)
#undef GATEHOUSE_STATUS_ROW
};

constexpr std::array<std::uint8_t, 600> kRowOfCode = [] {
  std::array<std::uint8_t, 600> rows{};
  for (std::size_t i = 1; i < kRows.size(); ++i) {
    rows[static_cast<std::size_t>(kRows[i].code)] = static_cast<std::uint8_t>(i);
  }
  return rows;
}();

}  // namespace

std::string_view status_line(int status) noexcept {
  if (status < 0 || static_cast<std::size_t>(status) >= kRowOfCode.size()) return {};
  return kRows[kRowOfCode[static_cast<std::size_t>(status)]].line;
}

std::string_view reason_phrase(int status) noexcept {
  std::string_view line = status_line(status);
  if (line.empty()) return {};
  line.remove_prefix(kProtocol.size() + 4);
  line.remove_suffix(2);
  return line;
}

}  // namespace gatehouse::http
