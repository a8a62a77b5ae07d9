#include "proxy/http/fields.hpp"

#include <string>

#include <gtest/gtest.h>

#include "proxy/http/chars.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::http {
namespace {

TEST(Fields, EveryRowIsFoundInAnyCase) {
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const auto id = static_cast<FieldId>(i);
    std::string name(field_name(id));
    EXPECT_EQ(field_id(name), id) << name;
    for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    EXPECT_EQ(field_id(name), id) << name;
    EXPECT_EQ(field_id(name + "x"), FieldId::other) << name;
    for (char& c : name) {
      const char right = c;
      for (const int wrong : {right ^ 0x20, right ^ 0x80, right & 0x1f, static_cast<int>('!')}) {
        c = static_cast<char>(wrong);
        EXPECT_EQ(field_id(name) == id, is(right, kToken) && right >= 'A' && wrong == (right ^ 0x20)) << name;
      }
      c = right;
    }
  }
}

TEST(Fields, UnknownNamesAreOther) {
  for (const char* name : {"a", "x-custom", "hos", "hostt", "h0st", "content_length", "x"}) {
    EXPECT_EQ(field_id(name), FieldId::other) << name;
  }
  EXPECT_EQ(field_id(""), FieldId::other);
}

TEST(Fields, FindAndCountGoByIdOrByName) {
  Fields fields;
  fields.add("Cookie", "a=1");
  fields.add("X-Custom", "one");
  fields.add("cookie", "b=2");
  EXPECT_EQ(fields.count(FieldId::cookie), 2U);
  EXPECT_EQ(fields.count(FieldId::host), 0U);
  EXPECT_EQ(fields.find(FieldId::cookie)->value, "a=1");
  EXPECT_EQ(fields.find("COOKIE")->value, "a=1");
  EXPECT_EQ(fields.find("x-CUSTOM")->value, "one");
  EXPECT_EQ(fields.find("x-custo"), nullptr);
  EXPECT_EQ(fields.value(FieldId::host), std::nullopt);
  fields.clear();
  EXPECT_FALSE(fields.contains(FieldId::cookie));
  EXPECT_TRUE(fields.empty());
}

TEST(Fields, CopiesKeepTheirOwnList) {
  Fields fields;
  for (int i = 0; i < 40; ++i) fields.add("Cookie", "a");
  Fields copy = fields;
  fields.clear();
  EXPECT_EQ(copy.size(), 40U);
  EXPECT_TRUE(copy.contains(FieldId::cookie));
}

TEST(Chars, ListsAreSplitAtCommasAndTrimmed) {
  std::string seen;
  for_each_element(" a ,,b\t,", [&](std::string_view element) {
    seen.append("[").append(element).append("]");
    return true;
  });
  EXPECT_EQ(seen, "[a][][b][]");
}

TEST(Chars, WordwiseChecksAgreeWithTheTable) {
  for (unsigned c = 0; c < 256; ++c) {
    for (const std::size_t position : {0U, 3U, 7U, 8U, 12U}) {
      std::string text(13, 'a');
      text[position] = static_cast<char>(c);
      EXPECT_EQ(is_field_value(text), is(static_cast<char>(c), kFieldValue)) << c;
      EXPECT_EQ(is_target_text(text), is(static_cast<char>(c), kTarget)) << c;
    }
  }
}

TEST(Message, MethodsAreCaseSensitive) {
  EXPECT_EQ(method_of("GET"), Method::get);
  EXPECT_EQ(method_of("get"), Method::other);
  EXPECT_EQ(method_of(""), Method::other);
  EXPECT_EQ(method_text(Method::delete_), "DELETE");
}

TEST(Message, PostPatchAndLockMayDoTheirWorkTwice) {
  EXPECT_EQ(repeat_of(Method::post), Repeat::harmful);
  EXPECT_EQ(repeat_of(Method::patch), Repeat::harmful);
  EXPECT_EQ(repeat_of(Method::lock), Repeat::harmful);
  EXPECT_EQ(repeat_of(Method::put), Repeat::harmless);
}

}  // namespace
}  // namespace gatehouse::http
