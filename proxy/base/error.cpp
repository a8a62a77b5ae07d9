#include "proxy/base/error.hpp"

#include <array>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

namespace gatehouse {
namespace {

constexpr std::array kRows = {
#define GATEHOUSE_REASON_ROW(name, label, blame, status, text) ReasonRow{label, Blame::blame, status, text},
    GATEHOUSE_REASONS(GATEHOUSE_REASON_ROW)
#undef GATEHOUSE_REASON_ROW
};

}  // namespace

const ReasonRow& row(Reason reason) noexcept { return kRows[static_cast<std::size_t>(reason)]; }

std::size_t reason_count() noexcept { return kRows.size(); }

std::string describe(const Error& error) {
  if (error.os_error == 0) return std::string(row(error.reason).text);
  return fmt::format("{} ({}: {})", row(error.reason).text, error.os_error,
                     std::generic_category().message(error.os_error));
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(describe(error));
}

}  // namespace gatehouse
