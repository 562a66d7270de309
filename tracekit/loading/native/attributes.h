// The distinct attributes of a source: each is decoded once.  Strings, integers, doubles and booleans are decoded here,
// all other values by Python.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

#include "canonical.h"
#include "interner.h"
#include "json.h"
#include "prepper_names.h"
#include "shapes.h"
#include "tags.h"
#include "wire.h"

namespace tracekit {

// The numbers of schema.ValueType; OTHER is decoded by Python.
enum Type : std::int8_t { OTHER = -1, EMPTY = 0, STRING = 1, INTEGER = 2, DOUBLE = 3, BOOLEAN = 4, ARRAY = 6, MAP = 7 };

// The value of one; in protobuf a double is the bits of ``integer``.
struct Value {
  Type type = EMPTY;
  std::int64_t integer = 0;
  Text text;
  bool is_go = false;
};

// New attributes, column by column.
struct Learned {
  std::vector<std::int32_t> codes;  // of all attributes that were asked for, known or new
  std::vector<std::int32_t> key;    // into keys
  std::vector<std::int8_t> type;
  std::vector<std::uint8_t> is_go;  // 1 for a value inside of another, as Go writes its struct
  std::vector<std::int64_t> integer, offsets{0};
  std::vector<Byte> text;       // of strings, arrays and maps
  std::vector<Text> doubles;    // the digits of doubles
  std::vector<Text> others;     // as they are written
  std::vector<Text> fresh_keys; // as they are written: their codes follow those of the keys before
};

// How attributes are written.
enum class Notation { OTLP, PROTOBUF, JAEGER, ZIPKIN };

class Attributes {
 public:
  explicit Attributes(Notation notation)
      : notation_(notation), known_(1 << 12, &arena_), keys_(64, &arena_), shapes_(64, &arena_) {}

  // ``shapes`` are those that the attributes have numbers of.
  Learned learn(std::vector<Attribute>& asked, std::vector<std::uint64_t>& hashes, const std::vector<Shape>& shapes) {
    constexpr std::size_t SOON = 16, NEXT = 8;  // steps ahead, while memory answers
    const std::lock_guard<std::mutex> alone(lock_);
    Learned found;
    found.codes.reserve(asked.size());
    const std::size_t keys = keys_.found.size();
    renumber(asked, hashes, shapes);
    for (std::size_t i = 0; i < asked.size(); i++) {
      if (i + SOON < asked.size()) known_.expect(hashes[i + SOON]);
      if (i + NEXT < asked.size()) known_.expect_bytes(hashes[i + NEXT]);
      const std::size_t size = known_.found.size();
      const std::int32_t code = known_.code(asked[i], hashes[i]);
      found.codes.push_back(code);
      if (known_.found.size() > size) decode(asked[i], found);
    }
    found.fresh_keys.assign(keys_.found.begin() + static_cast<std::ptrdiff_t>(keys), keys_.found.end());
    return found;
  }

 private:
  // A shape, and what all attributes have that are written in it: nothing is known before one was decoded.
  struct Form {
    std::uint32_t front, back;
    Type type = OTHER;
    bool is_go = false;
    std::int32_t key = -1;
  };

  // Replaces the numbers of shapes by those of this table.
  void renumber(std::vector<Attribute>& asked, std::vector<std::uint64_t>& hashes, const std::vector<Shape>& shapes) {
    if (shapes.empty()) return;
    std::vector<std::int32_t> numbers;
    std::vector<Byte> around;
    for (const Shape& shape : shapes) {
      const Byte *const length = reinterpret_cast<const Byte*>(&shape.front), *const value = shape.at + shape.front;
      around.assign(length, length + sizeof shape.front);
      around.insert(around.end(), shape.at, value);
      around.insert(around.end(), value + shape.value, value + shape.value + shape.back);
      numbers.push_back(shapes_.code({around.data(), static_cast<std::uint32_t>(around.size()), false}));
      if (shapes_.found.size() > forms_.size()) forms_.push_back({shape.front, shape.back});
    }
    for (std::size_t i = 0; i < asked.size(); i++) {
      std::int32_t& number = asked[i].shape;
      if (number == Attribute::WHOLE) continue;
      const std::int32_t known = numbers[static_cast<std::size_t>(number)];
      hashes[i] ^= salt(number) ^ salt(known);
      number = known;
    }
  }

  void decode(const Attribute& one, Learned& found) {
    Form* const form = one.shape == Attribute::WHOLE ? nullptr : &forms_[static_cast<std::size_t>(one.shape)];
    const Text raw = form ? Text{one.at - form->front, form->front + one.length + form->back, false}
                          : Text{one.at, one.length, false};
    Value value;
    std::int32_t key = -1;
    try {
      if (form && (form->type == STRING || (form->type == INTEGER && is_whole({one.at, one.length, false})))) {
        key = form->key;
        value.type = form->type;
        value.is_go = form->is_go;
        value.text = {one.at, one.length, false};
        if (value.type == INTEGER) value.integer = integer(value.text);
      } else {
        Text name;
        read(raw, name, value);
        if (value.type != OTHER) key = keys_.code(name);
        if (form) *form = {form->front, form->back, value.type, value.is_go, key};
      }
    } catch (const Odd&) {
      value = Value();
      value.type = OTHER;
      key = -1;
    }
    if (value.type == OTHER) found.others.push_back(raw);
    found.type.push_back(value.type);
    found.is_go.push_back(value.is_go);
    found.key.push_back(key);
    found.integer.push_back(value.integer);
    if (value.type == STRING || value.type == ARRAY || value.type == MAP) put_text(found.text, value.text);
    if (value.type == DOUBLE && notation_ != Notation::PROTOBUF) found.doubles.push_back(value.text);
    found.offsets.push_back(static_cast<std::int64_t>(found.text.size()));
  }

  void read(const Text& raw, Text& key, Value& value) {
    Reader r(raw.at, raw.at + raw.length, false);
    switch (notation_) {
      case Notation::OTLP:
        if (*raw.at == '{') {
          attribute(r, key, value);
        } else {
          plain_attribute(r, key, value);
        }
        break;
      case Notation::PROTOBUF: protobuf_attribute(raw, key, value); break;
      case Notation::JAEGER:
        if (r.next() == '"') {
          tag_of_map(r, key, value);
        } else {
          tag(r, key, value);
        }
        break;
      case Notation::ZIPKIN:
        key = r.key();
        value.type = STRING;
        value.text = r.text();
        if (r.p < r.end) binary_annotation(raw, key, value.text);
        break;
    }
  }

  // A member of an object of attributes or, without its first quote, of a span document.
  void plain_attribute(Reader& r, Text& key, Value& value) {
    const Text name = written_name(r.p, r.end);
    if (!name.length) odd();
    key = *r.p == '"' ? name : attribute_name(name, spelled_);
    r.p = name.at + name.length + 1;
    r.want(':');
    plain_value(r, value);
  }

  // A value without a type.
  void plain_value(Reader& r, Value& value) {
    const Byte first = r.next();
    if (first == '"') {
      value.type = STRING;
      value.text = r.text();
    } else if (is_digit(first) || first == '-') {
      value.text = r.number();
      value.type = is_whole(value.text) ? INTEGER : DOUBLE;
      if (value.type == INTEGER) value.integer = integer(value.text);
    } else if (first == '{' || first == '[') {
      canonical_.text.clear();
      canonical_.put(r);
      value.type = first == '{' ? MAP : ARRAY;
      value.text = {canonical_.text.data(), static_cast<std::uint32_t>(canonical_.text.size()), false};
    } else if (!r.null()) {
      value.type = BOOLEAN;
      value.integer = r.word("true", 4);
      if (!value.integer && !r.word("false", 5)) odd();
    }
  }

  static bool is_whole(const Text& number) {
    return std::all_of(number.at, number.at + number.length, [](Byte c) { return is_digit(c) || c == '-'; });
  }

  // A KeyValue with each field at most once, and a value that is no array or map.
  static void protobuf_attribute(const Text& raw, Text& key, Value& value) {
    Wire message(raw);
    int keys = 0, values = 0;
    while (message.next()) {
      if (message.is(1, Wire::LENGTH)) {
        key = message.text;
        keys++;
      } else if (message.is(2, Wire::LENGTH)) {
        protobuf_value(message.text, value);
        values++;
      } else {
        odd();
      }
    }
    if (keys != 1 || values > 1 || !key.length || !is_utf8(key.at, key.at + key.length)) odd();
  }

  static void protobuf_value(const Text& raw, Value& value) {
    Wire message(raw);
    if (!message.next()) return;
    if (message.is(1, Wire::LENGTH)) {
      value.type = STRING;
      value.text = message.text;
      if (!is_utf8(value.text.at, value.text.at + value.text.length)) odd();
    } else if (message.is(2, Wire::VARINT)) {
      value.type = BOOLEAN;
      value.integer = message.value != 0;
    } else if (message.is(3, Wire::VARINT) || message.is(4, Wire::FIXED64)) {
      value.type = message.number == 3 ? INTEGER : DOUBLE;
      value.integer = static_cast<std::int64_t>(message.value);
    } else {
      odd();
    }
    if (message.next()) odd();
  }

  static void attribute(Reader& r, Text& key, Value& value) {
    int keys = 0, values = 0;
    r.want('{');
    do {
      const Text name = r.key();
      if (name.is("key")) {
        key = r.text();
        keys++;
      } else if (name.is("value")) {
        any_value(r, value);
        values++;
      } else {
        odd();
      }
    } while (r.is(','));
    r.want('}');
    if (keys != 1 || values != 1 || !key.length) odd();
  }

  // A tag whose value is of the type that it names, or that names none.
  static void tag(Reader& r, Text& key, Value& value) {
    const Tag t = read_tag(r, 0);
    key = t.key;
    if (t.is_text) {
      value.type = STRING;
      value.text = t.value;
    } else if (t.is_true || t.is_false) {
      if (t.type.length && !t.type.is("bool")) odd();
      value.type = BOOLEAN;
      value.integer = t.is_true;
    } else if (t.is_string || !(is_digit(*t.other.at) || *t.other.at == '-')) {
      odd();
    } else if (t.type.is("float64")) {
      if (t.other.is("-0")) odd();  // JSON's -0 is an integer, without a sign
      value.type = DOUBLE;
      value.text = t.other;
    } else if (t.type.is("int64")) {
      value.type = INTEGER;
      value.integer = integer(t.other);
    } else {
      odd();
    }
  }

  // The members of a binary annotation of v1 from the key to the value, or the other way round.
  static void binary_annotation(const Text& raw, Text& key, Text& value) {
    Reader r(raw.at, raw.at + raw.length, false);
    do {
      const Text name = r.key();
      if (name.is("key")) {
        key = r.text();
      } else if (name.is("value")) {
        value = r.text();
      } else {
        r.skip(0);
      }
    } while (r.is(','));
  }

  // A tag in a map of Elasticsearch; Python decodes what is neither a text, a boolean nor an integer.
  void tag_of_map(Reader& r, Text& key, Value& value) {
    key = with_points(r.key(), spelled_);
    if (r.next() == '"') {
      value.type = STRING;
      value.text = r.text();
    } else if (r.word("true", 4) || r.word("false", 5)) {
      value.type = BOOLEAN;
      value.integer = r.p[-2] == 'u';
    } else {
      value.type = INTEGER;
      value.integer = integer(r.number());
    }
  }

  static void any_value(Reader& r, Value& value) {
    if (r.null()) return;
    r.want('{');
    if (r.is('}')) return;
    Text name = r.key();
    if (name.is("Value")) {
      value.is_go = true;
      r.want('{');
      name = r.key();
    }
    if (name.is("stringValue") || name.is("string_value") || name.is("StringValue")) {
      value.type = STRING;
      value.text = r.text();
    } else if (name.is("intValue") || name.is("int_value") || name.is("IntValue")) {
      value.type = INTEGER;
      value.integer = integer(r.next() == '"' ? r.text() : r.number());
    } else if (name.is("doubleValue") || name.is("double_value") || name.is("DoubleValue")) {
      value.type = DOUBLE;
      value.text = number(r);
    } else if (name.is("boolValue") || name.is("bool_value") || name.is("BoolValue")) {
      value.type = BOOLEAN;
      value.integer = r.word("true", 4);
      if (!value.integer && !r.word("false", 5)) odd();
    } else {
      odd();
    }
    r.want('}');
    if (value.is_go) r.want('}');
  }

  static std::int64_t integer(const Text& text) {
    const bool negative = text.length && *text.at == '-';
    const std::uint32_t count = text.length - negative;
    if (!count || count > 19) odd();
    std::uint64_t value = 0;
    for (const Byte *p = text.at + negative, *end = p + count; p < end; p++) {
      if (!is_digit(*p)) odd();
      value = value * 10 + static_cast<unsigned>(*p - '0');
    }
    if (value > 0x7FFFFFFFFFFFFFFFu + negative) odd();
    return static_cast<std::int64_t>(negative ? ~value + 1 : value);
  }

  // The digits of a double, or protobuf's words for those without.
  static Text number(Reader& r) {
    if (r.next() != '"') {
      const Text digits = r.number();
      if (digits.is("-0")) odd();  // JSON's -0 is an integer, without a sign
      return digits;
    }
    const Text text = r.text();
    if (!text.is("NaN") && !text.is("Infinity") && !text.is("-Infinity")) odd();
    return text;
  }

  std::mutex lock_;  // the interpreter's is not held
  const Notation notation_;
  std::vector<Byte> spelled_;  // the letters of the present key, where it is written otherwise
  Canonical canonical_;        // of the present value
  Arena arena_;
  Table<Attribute> known_;
  Interner keys_, shapes_;
  std::vector<Form> forms_;  // by the number of their shape
};

}  // namespace tracekit
