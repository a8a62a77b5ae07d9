#include "tests/unit/waf/fastpath/positives.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace gatehouse::waf::fastpath::testing {
namespace {

using pcre::Node;
using pcre::NodeKind;

class Generator {
 public:
  explicit Generator(Inputs& random) : random_(random) {}

  void write(const Node& node) {
    if (out_.size() > 4000) return;
    switch (node.kind) {
      case NodeKind::set: return write_member(node.bytes);
      case NodeKind::sequence:
        for (const Node& child : node.children) write(child);
        return;
      case NodeKind::choice:
        return write(node.children[random_.below(static_cast<std::uint32_t>(node.children.size()))]);
      case NodeKind::repeat: {
        const std::uint32_t most = std::min(node.max, node.min + 3);
        for (std::uint32_t n = node.min + random_.below(most - node.min + 1); n > 0; --n) write(node.children.front());
        return;
      }
      case NodeKind::atomic:
      case NodeKind::group: {
        const std::size_t begin = out_.size();
        write(node.children.front());
        last_group_ = out_.substr(begin);
        return;
      }
      case NodeKind::look_around:
        // Writing what is looked for gives the assertion a chance to hold.
        if (!node.negated && random_.below(2) == 0) write(node.children.front());
        return;
      case NodeKind::back_reference: out_ += last_group_; return;
      case NodeKind::line_start:
      case NodeKind::line_end:
        if (random_.below(4) == 0) out_ += '\n';
        return;
      case NodeKind::empty:
      case NodeKind::text_start:
      case NodeKind::text_end:
      case NodeKind::text_end_or_final_newline:
      case NodeKind::word_boundary:
      case NodeKind::not_word_boundary: return;
    }
  }

  std::string take() { return std::move(out_); }

 private:
  // Bytes that differ between the two engines' ideas of a class come up often on purpose.
  void write_member(const pcre::ByteSet& bytes) {
    if (bytes.none()) return;
    static const std::string interesting("\v\f\n\r\t\0 \x85\xa0\xe9\xff_0aZ", 16);
    for (int i = 0; i < 2; ++i) {
      const auto c = static_cast<unsigned char>(interesting[random_.below(16)]);
      if (bytes.test(c)) {
        out_ += static_cast<char>(c);
        return;
      }
    }
    std::uint32_t skip = random_.below(static_cast<std::uint32_t>(bytes.count()));
    for (unsigned c = 0; c < 256; ++c) {
      if (bytes.test(c) && skip-- == 0) {
        out_ += static_cast<char>(c);
        return;
      }
    }
  }

  Inputs& random_;
  std::string out_;
  std::string last_group_;
};

}  // namespace

std::string positive(const Node& tree, Inputs& random) {
  Generator generator(random);
  generator.write(tree);
  return generator.take();
}

std::vector<std::string> installed_patterns() {
  std::set<std::string> patterns;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/share/modsecurity-crs/rules", ignored)) {
    if (entry.path().extension() != ".conf") continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (std::size_t at = text.find("@rx "); at != std::string::npos; at = text.find("@rx ", at)) {
      at += 4;
      std::size_t end = at;
      while (end < text.size() && text[end] != '"' && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      const bool macro = text.substr(at, end - at).find("%{") != std::string::npos;
      if (end < text.size() && text[end] == '"' && !macro) patterns.insert(text.substr(at, end - at));
      at = end;
    }
  }
  return {patterns.begin(), patterns.end()};
}

}  // namespace gatehouse::waf::fastpath::testing
