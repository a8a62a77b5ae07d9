#include "proxy/http/fields.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

struct FieldRow {
  std::string_view name;
  std::uint8_t traits;
};

constexpr std::array<FieldRow, kFieldCount + 1> kRows = {{
#define GATEHOUSE_FIELD_ROW(id, name, traits) FieldRow{name, traits},
    GATEHOUSE_FIELDS(GATEHOUSE_FIELD_ROW)
#undef GATEHOUSE_FIELD_ROW
        FieldRow{"", kPlain},
}};

constexpr std::size_t kLongestName = [] {
  std::size_t longest = 0;
  for (const FieldRow& row : kRows) longest = row.name.size() > longest ? row.name.size() : longest;
  return longest;
}();

// Perfect hash: four bytes and the length, mixed with a multiplier that the compiler searches for until no two rows
// share a slot. Setting bit 5 folds the case of letters; for other bytes it only makes the hash coarser.
constexpr unsigned kSlotBits = 10;

constexpr std::uint32_t key_of(std::string_view name) noexcept {
  const char* const p = name.data();
  const std::size_t n = name.size();
  const auto byte = [p](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(p[i]) | 0x20); };
  return (byte(0) | byte(n / 2) << 8 | byte(n - 2) << 16 | byte(n - 1) << 24) ^
         static_cast<std::uint32_t>(n) * 0x9e3779b1U;
}

constexpr std::uint32_t slot_of(std::uint32_t key, std::uint32_t multiplier) noexcept {
  return (key * multiplier) >> (32 - kSlotBits);
}

struct SlotTable {
  std::uint32_t multiplier = 0;
  std::array<std::uint8_t, 1U << kSlotBits> rows{};
};

consteval SlotTable make_slots() {
  std::array<std::uint32_t, kFieldCount> keys{};
  for (std::size_t i = 0; i < kFieldCount; ++i) keys[i] = key_of(kRows[i].name);
  std::uint32_t taken[1U << kSlotBits] = {};  // by the try that took the slot: cheaper than clearing it for each try
  std::uint32_t multiplier = 0x85ebca6bU;
  for (std::uint32_t attempt = 1;; ++attempt, multiplier += 0x9e3779b2U) {
    bool clash = false;
    for (std::size_t i = 0; i < kFieldCount && !clash; ++i) {
      std::uint32_t& slot = taken[slot_of(keys[i], multiplier)];
      clash = slot == attempt;
      slot = attempt;
    }
    if (!clash) break;
  }
  SlotTable table{multiplier, {}};
  for (std::uint8_t& row : table.rows) row = static_cast<std::uint8_t>(FieldId::other);
  for (std::size_t i = 0; i < kFieldCount; ++i) table.rows[slot_of(keys[i], multiplier)] = static_cast<std::uint8_t>(i);
  return table;
}

constexpr SlotTable kSlots = make_slots();

// Equality of a name with a lower-case row name of the same length, eight bytes at a time. Rows hold only a-z, 0-9 and
// '-', which all have bit 5 set; the only bytes that become one of them by setting bit 5 are the upper-case letters,
// which are meant, and CTLs, which are ruled out. So "equal after setting bit 5, and no CTL" is exact.
bool equals_row(std::string_view name, std::string_view row) noexcept {
  constexpr std::uint64_t kFold = 0x2020202020202020ULL;
  const char* a = name.data();
  const char* b = row.data();
  const std::size_t n = name.size();
  if (n < 8) {
    for (std::size_t i = 0; i < n; ++i) {
      if ((a[i] | 0x20) != b[i] || a[i] < 0x20) return false;
    }
    return true;
  }
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < n; i += 8) {
    const std::size_t at = i + 8 <= n ? i : n - 8;
    const std::uint64_t word = detail::load8(a + at);
    difference |= ((word | kFold) ^ detail::load8(b + at)) | detail::any_below(word, 0x20);
  }
  return difference == 0;
}

}  // namespace

FieldId field_id(std::string_view name) noexcept {
  if (name.size() < 2 || name.size() > kLongestName) return FieldId::other;
  const auto id = static_cast<FieldId>(kSlots.rows[slot_of(key_of(name), kSlots.multiplier)]);
  const std::string_view row = kRows[static_cast<std::size_t>(id)].name;
  return row.size() == name.size() && equals_row(name, row) ? id : FieldId::other;
}

std::string_view field_name(FieldId id) noexcept { return kRows[static_cast<std::size_t>(id)].name; }

std::uint8_t field_traits(FieldId id) noexcept { return kRows[static_cast<std::size_t>(id)].traits; }

const Field* Fields::find(std::string_view name) const noexcept {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return find(id);
  for (const Field& field : fields_) {
    if (field.id == FieldId::other && iequals(field.name, name)) return &field;
  }
  return nullptr;
}

std::size_t Fields::count(FieldId id) const noexcept {
  if (!present_.contains(id)) return 0;
  std::size_t lines = 0;
  for (const Field& field : fields_) lines += field.id == id ? 1 : 0;
  return lines;
}

void Fields::rebase(const char* from, const char* to) noexcept {
  for (Field& field : fields_) {
    field.name = rebased(field.name, from, to);
    field.value = rebased(field.value, from, to);
  }
}

std::string_view rebased(std::string_view text, const char* from, const char* to) noexcept {
  // By integers: the old buffer may be gone, so its pointers may no longer be subtracted.
  const auto offset = reinterpret_cast<std::uintptr_t>(text.data()) - reinterpret_cast<std::uintptr_t>(from);
  return {to + offset, text.size()};
}

void Fields::remove(FieldId id) noexcept {
  if (!present_.contains(id)) return;
  fields_.erase(std::remove_if(fields_.begin(), fields_.end(), [id](const Field& field) { return field.id == id; }),
                fields_.end());
  present_.remove(id);
}

void Fields::remove(std::string_view name) noexcept {
  if (const FieldId id = field_id(name); id != FieldId::other) return remove(id);
  fields_.erase(
      std::remove_if(fields_.begin(), fields_.end(), [name](const Field& field) { return iequals(field.name, name); }),
      fields_.end());
}

void Fields::set(std::string_view name, std::string_view value, FieldId id) {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].id != id || (id == FieldId::other && !iequals(fields_[i].name, name))) continue;
    fields_[i] = {name, value, id};
    for (std::size_t j = i + 1; j < fields_.size();) {
      const bool same = fields_[j].id == id && (id != FieldId::other || iequals(fields_[j].name, name));
      if (same) {
        fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(j));
      } else {
        ++j;
      }
    }
    return;
  }
  add(name, value, id);
}

}  // namespace gatehouse::http
