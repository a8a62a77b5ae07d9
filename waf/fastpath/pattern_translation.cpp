#include "waf/fastpath/pattern_translation.hpp"

#include <algorithm>
#include <array>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <re2/re2.h>

#include "waf/fastpath/pcre_classes.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using pcre::ByteSet;
using pcre::Node;
using pcre::NodeKind;

/// Writes RE2 text. Counts above `max_count` become open: RE2 takes 1000, and less where repeats are nested.
class Writer {
 public:
  explicit Writer(std::uint32_t max_count) : max_count_(max_count) {}

  void write(const Node& node) {
    switch (node.kind) {
      case NodeKind::empty: return;
      case NodeKind::set: out_ += byte_set_pattern(node.bytes); return;
      case NodeKind::sequence:
        for (const Node& child : node.children) write_item(child);
        return;
      case NodeKind::choice: return write_choice(node);
      case NodeKind::repeat: return write_repeat(node);
      case NodeKind::atomic: exact_ = false; return write_item(node.children.front());
      case NodeKind::group: return write_item(node.children.front());
      case NodeKind::back_reference:
        exact_ = false;
        out_ += "[\\x00-\\xff]*";
        return;
      case NodeKind::look_around: exact_ = false; return;
      // PCRE2 does not see a line start after a newline that ends the text; RE2 does.
      case NodeKind::line_start:
        exact_ = false;
        out_ += "(?m:^)";
        return;
      case NodeKind::line_end: out_ += "(?m:$)"; return;
      case NodeKind::text_start: out_ += "\\A"; return;
      case NodeKind::text_end: out_ += "\\z"; return;
      case NodeKind::text_end_or_final_newline:
        exact_ = false;
        out_ += "(?m:$)";
        return;
      case NodeKind::word_boundary: out_ += "\\b"; return;
      case NodeKind::not_word_boundary: out_ += "\\B"; return;
    }
  }

  [[nodiscard]] const std::string& text() const { return out_; }
  [[nodiscard]] bool exact() const { return exact_; }

 private:
  /// A node where something else may stand beside it.
  void write_item(const Node& node) {
    const bool needs_group = node.kind == NodeKind::choice;
    if (needs_group) out_ += "(?:";
    write(node);
    if (needs_group) out_ += ')';
  }

  void write_choice(const Node& node) {
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) out_ += '|';
      write_item(node.children[i]);
    }
  }

  void write_repeat(const Node& node) {
    if (node.possessive) exact_ = false;
    std::uint32_t min = node.min;
    std::uint32_t max = node.max;
    if (min > max_count_) {
      min = max_count_;
      exact_ = false;
    }
    if (max != pcre::unbounded && max > max_count_) {
      max = pcre::unbounded;
      exact_ = false;
    }
    out_ += "(?:";
    write(node.children.front());
    out_ += ')';
    if (max == pcre::unbounded) {
      out_ += min == 0 ? "*" : min == 1 ? "+" : fmt::format("{{{},}}", min);
    } else if (min == 0 && max == 1) {
      out_ += '?';
    } else {
      out_ += min == max ? fmt::format("{{{}}}", min) : fmt::format("{{{},{}}}", min, max);
    }
  }

  std::uint32_t max_count_;
  std::string out_;
  bool exact_ = true;
};

bool re2_takes(const std::string& text) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  return re2::RE2(text, options).ok();
}

}  // namespace

std::string byte_set_pattern(const ByteSet& bytes) {
  if (bytes.none()) return "[^\\x00-\\xff]";
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  const auto append = [&text](unsigned byte) {
    text += "\\x";
    text += digits[byte >> 4];
    text += digits[byte & 0x0f];
  };
  std::size_t members = 0;
  for (unsigned first = 0; first < 256; ++first) {
    if (!bytes.test(first)) continue;
    unsigned last = first;
    while (last < 255 && bytes.test(last + 1)) ++last;
    append(first);
    if (last > first) {
      text += '-';
      append(last);
    }
    members += last - first + 1;
    first = last;
  }
  return members == 1 ? text : "[" + text + "]";
}

std::string phrase_pattern(std::string_view phrase, bool caseless) {
  std::string text;
  for (const Node& child : phrase_tree(phrase, caseless).children) text += byte_set_pattern(child.bytes);
  return text;
}

Node phrase_tree(std::string_view phrase, bool caseless) {
  Node tree;
  tree.kind = NodeKind::sequence;
  for (const char c : phrase) {
    Node& child = tree.children.emplace_back();
    child.kind = NodeKind::set;
    child.bytes.set(static_cast<unsigned char>(c));
    if (caseless) child.bytes = pcre::fold_case(child.bytes);
  }
  return tree;
}

namespace {

struct Written {
  std::string text;
  bool exact = false;
};

/// How large a pattern gets for RE2 when counts above `max_count` are open.
struct Size {
  std::uint64_t nested_counts = 1;  ///< the largest product of counts inside each other; RE2 takes up to 1000
  std::uint64_t instructions = 1;   ///< an upper bound, for texts of bytes
};

Size size_of(const Node& node, std::uint32_t max_count) {
  Size size;
  for (const Node& child : node.children) {
    const Size part = size_of(child, max_count);
    size.nested_counts = std::max(size.nested_counts, part.nested_counts);
    size.instructions += part.instructions;
  }
  // A set compiles to one instruction per range of bytes.
  if (node.kind == NodeKind::set) size.instructions += std::min(node.bytes.count(), 256 - node.bytes.count());
  if (node.kind != NodeKind::repeat) return size;
  const std::uint64_t min = std::min(node.min, max_count);
  const std::uint64_t copies = std::max<std::uint64_t>(node.max > max_count ? min : node.max, 1);
  constexpr std::uint64_t enough = std::uint64_t{1} << 32;  // products stay far from overflow
  size.nested_counts = std::min(size.nested_counts * copies, enough);
  size.instructions = std::min(size.instructions * (copies + 1), enough);
  return size;
}

/// Widens counts until RE2 takes the pattern. Small ones are not tried out: compiling each would double the loading time.
std::optional<Written> write_for_re2(const Node& tree) {
  constexpr std::uint64_t most_nested = 1000;
  constexpr std::uint64_t surely_small = 150000;  // RE2 takes more than twice as many in its default memory
  for (const std::uint32_t max_count : {1000u, 250u, 60u, 15u, 4u, 1u}) {
    const Size size = size_of(tree, max_count);
    if (size.nested_counts > most_nested) continue;
    Writer writer(max_count);
    writer.write(tree);
    if (size.instructions <= surely_small || re2_takes(writer.text())) return Written{writer.text(), writer.exact()};
  }
  return std::nullopt;
}

}  // namespace

Translation translate(std::string_view pattern) {
  Translation translation;
  auto parsed = pcre::parse(pattern);
  if (const auto* refusal = std::get_if<pcre::Refusal>(&parsed)) {
    translation.refusal = fmt::format("{} at offset {}", refusal->reason, refusal->offset);
    return translation;
  }
  std::optional<Written> written = write_for_re2(std::get<Node>(parsed));
  if (!written) {
    translation.refusal = "RE2 does not compile it";
    return translation;
  }
  translation.re2 = std::move(written->text);
  translation.exact = written->exact;
  translation.tree = std::move(std::get<Node>(parsed));
  return translation;
}

std::optional<std::string> restricted_pattern(const Node& tree, const ByteSet& alphabet) {
  const std::optional<Node> restricted = pcre::restrict_to(tree, alphabet);
  if (!restricted) return std::nullopt;
  std::optional<Written> written = write_for_re2(*restricted);
  if (!written) return "";  // cannot be worse than the pattern that compiled; "" matches every text
  return std::move(written->text);
}

bool models_linked_pcre2() {
  std::array<char, 64> version{};
  if (pcre2_config(PCRE2_CONFIG_VERSION, nullptr) > static_cast<int>(version.size())) return false;
  pcre2_config(PCRE2_CONFIG_VERSION, version.data());
  std::uint32_t newline = 0;
  pcre2_config(PCRE2_CONFIG_NEWLINE, &newline);
  return std::string_view(version.data()).starts_with("10.42 ") && newline == PCRE2_NEWLINE_LF;
}

}  // namespace gatehouse::waf::fastpath
