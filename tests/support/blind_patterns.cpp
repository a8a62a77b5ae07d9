// Preloaded into the program under test: an RE2 with a fault. Its pattern sets find nothing in a text that holds "unseen", so that the
// WAF's fast path calls clean what libmodsecurity, which has another regular expression engine, sees something in.
#include <string>
#include <vector>

#include <dlfcn.h>
#include <re2/set.h>

bool re2::RE2::Set::Match(const StringPiece& text, std::vector<int>* found, ErrorInfo* error) const {
  if (text.find("unseen") != StringPiece::npos) {
    if (found != nullptr) found->clear();
    if (error != nullptr) error->kind = kNoError;
    return false;
  }
  using Real = bool (*)(const Set*, const StringPiece&, std::vector<int>*, ErrorInfo*);
  static const auto real = reinterpret_cast<Real>(
      dlsym(RTLD_NEXT, "_ZNK3re23RE23Set5MatchERKNS_11StringPieceEPSt6vectorIiSaIiEEPNS1_9ErrorInfoE"));
  return real(this, text, found, error);
}
