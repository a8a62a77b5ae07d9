#include "proxy/config/regex.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace gatehouse::config {
namespace {

// The most steps one match may take: expressions with nested repetition must not stop an event loop.
constexpr std::uint32_t kMatchLimit = 200'000;
constexpr std::uint32_t kDepthLimit = 10'000;

// PCRE2's scratch memory of one thread; grows to the largest expression that ran there.
struct Workspace {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  std::uint32_t groups = 0;

  Workspace() {
    if (context == nullptr) throw std::bad_alloc();
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_depth_limit(context, kDepthLimit);
  }
  ~Workspace() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  pcre2_match_data* for_groups(std::uint32_t count) {
    if (count > groups) {
      pcre2_match_data_free(data);
      data = pcre2_match_data_create(count, nullptr);
      if (data == nullptr) {
        groups = 0;
        throw std::bad_alloc();
      }
      groups = count;
    }
    return data;
  }
};

Workspace& workspace() {
  thread_local Workspace instance;
  return instance;
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string pattern, bool caseless) : pattern_(std::move(pattern)), code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(),
                              caseless ? PCRE2_CASELESS : 0u, &error, &offset, nullptr);
  if (code_->code == nullptr) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    const auto rest = std::string_view(pattern_).substr(std::min<std::size_t>(offset, pattern_.size()));
    throw std::invalid_argument(fmt::format("pcre2_compile() failed: {} in \"{}\"{}",
                                            reinterpret_cast<const char*>(text), pattern_,
                                            rest.empty() ? "" : fmt::format(" at \"{}\"", rest)));
  }
  // Without JIT (not supported here, or out of executable memory) the interpreter runs: slower, the same answer.
  (void)pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
  pcre2_pattern_info(code_->code, PCRE2_INFO_CAPTURECOUNT, &groups_);

  std::uint32_t count = 0;
  std::uint32_t entry_size = 0;
  PCRE2_SPTR table = nullptr;
  pcre2_pattern_info(code_->code, PCRE2_INFO_NAMECOUNT, &count);
  if (count == 0) return;
  pcre2_pattern_info(code_->code, PCRE2_INFO_NAMEENTRYSIZE, &entry_size);
  pcre2_pattern_info(code_->code, PCRE2_INFO_NAMETABLE, &table);
  for (std::uint32_t i = 0; i < count; ++i, table += entry_size) {
    const auto number = static_cast<std::uint32_t>((table[0] << 8) | table[1]);
    names_.emplace_back(reinterpret_cast<const char*>(table + 2), number);
  }
}

Regex::~Regex() = default;

bool Regex::matches(std::string_view subject) const {
  auto& space = workspace();
  return pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), 0, 0,
                     space.for_groups(groups_ + 1), space.context) >= 0;
}

bool Regex::match(std::string_view subject, Captures& captures) const {
  auto& space = workspace();
  auto* data = space.for_groups(groups_ + 1);
  if (pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), 0, 0, data,
                  space.context) < 0) {
    return false;
  }
  const auto* offsets = pcre2_get_ovector_pointer(data);
  // A group behind the last one that took part is not written to the vector: pcre2_match() sets all of this pattern's.
  captures.offsets.assign(offsets, offsets + 2 * (static_cast<std::size_t>(groups_) + 1));
  return true;
}

}  // namespace gatehouse::config
