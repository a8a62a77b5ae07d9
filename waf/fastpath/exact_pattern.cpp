#include "waf/fastpath/exact_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>

#include <pcre2.h>

namespace gatehouse::waf::fastpath {
namespace {

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const noexcept { pcre2_match_data_free(data); }
};
struct FreeCode {
  void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
};

}  // namespace

struct ExactScratch::Impl {
  std::unique_ptr<pcre2_match_data, FreeMatchData> data;
  std::uint32_t pairs = 0;

  pcre2_match_data* room_for(std::uint32_t wanted) {
    if (wanted > pairs) {
      data.reset(pcre2_match_data_create(wanted, nullptr));
      pairs = data ? wanted : 0;
    }
    return data.get();
  }
};

ExactScratch::ExactScratch() : impl_(std::make_unique<Impl>()) {}
ExactScratch::~ExactScratch() = default;
ExactScratch::ExactScratch(ExactScratch&&) noexcept = default;
ExactScratch& ExactScratch::operator=(ExactScratch&&) noexcept = default;

struct ExactPattern::Impl {
  std::unique_ptr<pcre2_code, FreeCode> code;
  bool jit = false;
  bool always = false;
  std::uint32_t pairs = 1;
};

ExactPattern::ExactPattern(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
  impl_->always = pattern.empty();
  int error = 0;
  PCRE2_SIZE offset = 0;
  const char* text = pattern.empty() ? ".*" : pattern.c_str();
  impl_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text), PCRE2_ZERO_TERMINATED,
                                  PCRE2_DOTALL | PCRE2_MULTILINE, &error, &offset, nullptr));
  if (!impl_->code) return;
  impl_->jit = pcre2_jit_compile(impl_->code.get(), PCRE2_JIT_COMPLETE) == 0;
  std::uint32_t groups = 0;
  pcre2_pattern_info(impl_->code.get(), PCRE2_INFO_CAPTURECOUNT, &groups);
  impl_->pairs = groups + 1;
}

ExactPattern::~ExactPattern() = default;
ExactPattern::ExactPattern(ExactPattern&&) noexcept = default;
ExactPattern& ExactPattern::operator=(ExactPattern&&) noexcept = default;

bool ExactPattern::valid() const noexcept { return impl_->code != nullptr; }

int ExactPattern::run(std::string_view subject, ExactScratch& scratch) const {
  pcre2_match_data* data = scratch.impl_->room_for(impl_->pairs);
  if (!impl_->code || data == nullptr) return -1;
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data() == nullptr ? "" : subject.data());
  int rc = 0;
  if (impl_->jit) rc = pcre2_jit_match(impl_->code.get(), text, subject.size(), 0, 0, data, nullptr);
  if (!impl_->jit || rc == PCRE2_ERROR_JIT_STACKLIMIT) {
    rc = pcre2_match(impl_->code.get(), text, subject.size(), 0, PCRE2_NO_JIT, data, nullptr);
  }
  return rc;
}

bool ExactPattern::matches(std::string_view subject, ExactScratch& scratch) const {
  return impl_->always || run(subject, scratch) > 0;
}

bool ExactPattern::matches(std::string_view subject, ExactScratch& scratch, std::vector<Capture>& captures) const {
  captures.clear();
  if (impl_->always) return true;  // the library answers before it searches, so nothing is captured
  const int rc = run(subject, scratch);
  if (rc <= 0) return false;
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch.impl_->data.get());
  for (std::uint32_t group = 0; group < static_cast<std::uint32_t>(rc); ++group) {
    const PCRE2_SIZE begin = offsets[2 * group];
    const PCRE2_SIZE end = offsets[2 * group + 1];
    if (end > subject.size() || begin > end) continue;
    captures.push_back({group, subject.substr(begin, end - begin)});
  }
  return true;
}

}  // namespace gatehouse::waf::fastpath
