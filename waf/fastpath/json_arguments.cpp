#include "waf/fastpath/json_arguments.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include <yajl/yajl_parse.h>

namespace gatehouse::waf::fastpath {
namespace {

// yajl's memory comes from the scratch and goes with it; a block remembers its size for realloc.
constexpr std::size_t block_head = 16;

void* take_block(void* scratch, std::size_t size) {
  auto* arena = static_cast<Scratch*>(scratch);
  // reserve() promises no alignment: ask for room to move up to a multiple of 16.
  unsigned char* raw = arena->reserve(size + 2 * block_head);
  const std::size_t skip = (block_head - reinterpret_cast<std::uintptr_t>(raw) % block_head) % block_head;
  arena->commit(skip + block_head + size);
  unsigned char* block = raw + skip;
  std::memcpy(block, &size, sizeof size);
  return block + block_head;
}

void* resize_block(void* scratch, void* old, std::size_t size) {
  if (old == nullptr) return take_block(scratch, size);
  std::size_t old_size = 0;
  std::memcpy(&old_size, static_cast<unsigned char*>(old) - block_head, sizeof old_size);
  if (size <= old_size) return old;
  void* block = take_block(scratch, size);
  std::memcpy(block, old, old_size);
  return block;
}

void drop_block(void*, void*) {}

std::string_view text_of(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

void append_index(std::string& text, std::uint64_t index) {
  std::array<char, 20> digits{};
  char* end = std::to_chars(digits.data(), digits.data() + digits.size(), index).ptr;
  text += ".array_";
  text.append(digits.data(), end);
}

}  // namespace

struct JsonArguments::Callbacks {
  static JsonArguments& self(void* context) { return *static_cast<JsonArguments*>(context); }
  static int null(void* context) { return self(context).leaf(""); }
  static int boolean(void* context, int value) { return self(context).leaf(value != 0 ? "true" : "false"); }
  static int number(void* context, const char* text, std::size_t size) { return self(context).leaf({text, size}); }
  static int string(void* context, const unsigned char* text, std::size_t size) {
    return self(context).leaf(text_of(text, size));
  }
  static int start_map(void* context) { return self(context).open(ContainerKind::map); }
  static int start_array(void* context) { return self(context).open(ContainerKind::array); }
  static int key(void* context, const unsigned char* text, std::size_t size) {
    self(context).key_.assign(text_of(text, size));
    return 1;
  }
  static int end(void* context) {
    self(context).close();
    return 1;
  }
};

bool JsonArguments::parse(std::string_view text, std::size_t max_depth, std::size_t max_leaves,
                          std::vector<Member>& leaves) {
  if (text.empty()) return true;
  containers_.clear();
  path_.clear();
  key_.clear();
  leaves_ = &leaves;
  max_depth_ = max_depth;
  max_leaves_ = max_leaves;
  static const yajl_callbacks callbacks{
      Callbacks::null,   Callbacks::boolean,   nullptr,        nullptr,        Callbacks::number,
      Callbacks::string, Callbacks::start_map, Callbacks::key, Callbacks::end, Callbacks::start_array,
      Callbacks::end};
  yajl_alloc_funcs memory{take_block, resize_block, drop_block, scratch_};
  const yajl_handle handle = yajl_alloc(&callbacks, &memory, this);
  yajl_config(handle, yajl_allow_partial_values, 0);
  const bool parsed =
      yajl_parse(handle, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == yajl_status_ok &&
      yajl_complete_parse(handle) == yajl_status_ok;
  yajl_free(handle);
  return parsed;
}

// The key a value or container goes by. A member named "" is "empty-key", an element has no name, and the key is used
// up.
std::string_view JsonArguments::take_key() {
  if (containers_.empty()) return "json";
  if (!key_.empty()) return key_;
  return containers_.back().kind == ContainerKind::array ? "" : "empty-key";
}

void JsonArguments::element_done() {
  if (!containers_.empty() && containers_.back().kind == ContainerKind::array) ++containers_.back().next;
}

bool JsonArguments::open(ContainerKind kind) {
  const std::size_t before = path_.size();
  const std::string_view name = take_key();
  if (!containers_.empty() && containers_.back().kind == ContainerKind::array)
    append_index(path_, containers_.back().next);
  path_ += name;
  if (!containers_.empty()) key_.clear();
  if (kind == ContainerKind::map) path_ += '.';
  containers_.push_back({before, kind, 0});
  return containers_.size() <= max_depth_;
}

void JsonArguments::close() {
  path_.resize(containers_.back().path_before);
  containers_.pop_back();
  element_done();
}

bool JsonArguments::leaf(std::string_view value) {
  if (leaves_->size() >= max_leaves_) return false;
  const std::size_t length = path_.size();
  if (!containers_.empty() && containers_.back().kind == ContainerKind::array) {
    append_index(path_, containers_.back().next);  // a key left over from before stays for what comes next
  } else {
    path_ += take_key();
    if (!containers_.empty()) key_.clear();
  }
  const std::string_view name = scratch_->copy(path_);
  leaves_->push_back({name, scratch_->copy(value)});
  path_.resize(length);
  element_done();
  return true;
}

}  // namespace gatehouse::waf::fastpath
