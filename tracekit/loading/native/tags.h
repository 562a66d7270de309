// Tags, and what those mean that OpenTelemetry has columns for, as in loading/tags.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "json.h"
#include "members.h"
#include "microseconds.h"

namespace tracekit {

// A tag: ``value`` has the characters of a string, as they are written.
struct Tag {
  Text raw, key, type, value;
  Text other;  // a value that is no string, as it is written
  bool is_text = false;  // a string that is said to be one
  bool is_string = false, is_true = false, is_false = false;  // as it is written
};

// Reads {"key": ..., "type": ..., "value": ...} with this many containers around it.
inline Tag read_tag(Reader& r, int depth) {
  enum { KEY, TYPE, VALUE };
  Once once;
  Tag t;
  r.blank();
  const Byte* const from = r.p;
  object(r, [&](const Text& name) {
    if (name.is("key")) {
      once(KEY);
      t.key = r.text();
      if (t.key.escaped) odd();
    } else if (name.is("type")) {
      once(TYPE);
      t.type = r.text();
    } else if (name.is("value")) {
      once(VALUE);
      if (r.next() == '"') {
        t.value = r.text();
        t.is_string = true;
      } else {
        t.other = r.raw(depth + 1);
        t.is_true = t.other.is("true");
        t.is_false = t.other.is("false");
      }
    } else {
      odd();
    }
  });
  if (!once.all(1u << KEY | 1u << VALUE)) odd();
  t.raw = r.slice(from, false);
  t.is_text = t.is_string && (t.type.is("string") || !t.type.length);
  return t;
}

// The name of a tag in a map of Elasticsearch, where "@" stands for a point; ``room`` has its letters then.
inline Text with_points(const Text& name, std::vector<Byte>& room) {
  const Byte* const end = name.at + name.length;
  if (std::find(name.at, end, Byte{'@'}) == end) return name;
  room.assign(name.at, end);
  std::replace(room.begin(), room.end(), Byte{'@'}, Byte{'.'});
  return {room.data(), name.length, name.escaped};
}

// Whether a text is this word, given in small letters, in whatever case; beyond ASCII no letter is one of the words'.
template <std::size_t N> bool is_word(const Text& text, const char (&word)[N]) {
  if (text.length != N - 1) return false;
  for (std::size_t i = 0; i + 1 < N; i++) {
    const Byte c = text.at[i];
    if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != static_cast<Byte>(word[i])) return false;
  }
  return true;
}

// The number of a kind; another word is odd.
inline std::uint8_t kind_of(const Text& text) {
  if (is_word(text, "unspecified")) return 0;
  if (is_word(text, "internal")) return 1;
  if (is_word(text, "server")) return 2;
  if (is_word(text, "client")) return 3;
  if (is_word(text, "producer")) return 4;
  if (is_word(text, "consumer")) return 5;
  odd();
}

// What the tags of a span say in the words of OpenTelemetry; a tag twice, or a value that is no such word, is odd.
class Meaning {
 public:
  // ``any_error``: the tag means failure with any value.
  explicit Meaning(bool any_error = false) : any_error_(any_error) {}

  Text message, state;
  Text error, error_text;  // the tag with a text beyond true and false, and this text

  // Sets the kind that a span names beside its tags, 0 for none.
  void name_kind(std::uint8_t kind) { named_kind_ = kind; }

  // Takes a tag that has a meaning; false for any other.
  bool take(const Tag& t) {
    const Text& key = t.key;
    if (!key.length) return false;
    switch (key.at[0]) {
      case 's': return key.is("span.kind") && take_kind(t);
      case 'e': return key.is("error") && take_error(t);
      case 'w': return key.is("w3c.tracestate") && take_text(t, STATE, state);
      case 'o': break;
      default: return false;
    }
    if (key.is("otel.status_code")) return take_status(t);
    if (key.is("otel.status_description")) return take_text(t, MESSAGE, message);
    if (key.is("otel.scope.name")) return take_text(t, SCOPE, scope_);
    if (key.is("otel.scope.version")) return take_text(t, VERSION, version_);
    if (key.is("otel.library.name")) return take_text(t, LIBRARY, library_);
    if (key.is("otel.library.version")) return take_text(t, LIBRARY_VERSION, library_version_);
    return false;
  }

  std::uint8_t kind() const { return named_kind_ ? named_kind_ : once_.all(1u << KIND) ? kind_ : INTERNAL; }
  std::uint8_t status() const { return once_.all(1u << STATUS) ? status_ : has_failed_ ? ERROR : 0; }
  const Text& scope() const { return once_.all(1u << SCOPE) ? scope_ : library_; }
  const Text& version() const { return once_.all(1u << VERSION) ? version_ : library_version_; }
  std::uint32_t quality() const {
    const bool tagged = has_failed_ && !once_.all(1u << STATUS);
    return (named_kind_ || once_.all(1u << KIND) ? 0u : KIND_INFERRED) | (tagged ? ERROR_TAGGED : 0u);
  }

 private:
  enum { KIND, FAILURE, STATUS, MESSAGE, STATE, SCOPE, VERSION, LIBRARY, LIBRARY_VERSION };
  static constexpr std::uint8_t INTERNAL = 1, ERROR = 2;

  bool take_text(const Tag& t, unsigned number, Text& to) {
    once_(number);
    if (!t.is_text) odd();
    to = t.value;
    return true;
  }

  bool take_kind(const Tag& t) {
    once_(KIND);
    if (!t.is_text) odd();
    kind_ = kind_of(t.value);
    return true;
  }

  bool take_status(const Tag& t) {
    once_(STATUS);
    const Text& word = t.value;
    if (!t.is_text) odd();
    status_ = is_word(word, "unset") || word.is("0") ? 0 : is_word(word, "ok") || word.is("1") ? 1 : ERROR;
    if (status_ == ERROR && !is_word(word, "error") && !word.is("2")) odd();
    return true;
  }

  bool take_error(const Tag& t) {
    once_(FAILURE);
    const Text& word = t.value;
    const bool is_truth = t.type.is("bool");
    if (t.is_true || t.is_false) {
      if (!is_truth && !t.type.is("string") && t.type.length) odd();
      has_failed_ = t.is_true;
    } else if (!t.is_string) {
      odd();
    } else if (is_truth) {
      has_failed_ = is_word(word, "true");
      if (!has_failed_ && !is_word(word, "false")) odd();
    } else if (!t.is_text) {
      odd();
    } else {
      std::vector<Byte> letters;
      if (word.escaped) put_text(letters, word);
      const Text said = word.escaped ? Text{letters.data(), static_cast<std::uint32_t>(letters.size()), false} : word;
      const bool is_false = is_word(said, "false") || is_word(said, "none") || said.is("0") || !said.length;
      has_failed_ = !is_false;
      if (!is_false && !is_word(said, "true") && !said.is("1")) {
        error = t.raw;
        error_text = word;
      }
    }
    has_failed_ = has_failed_ || any_error_;
    return true;
  }

  Once once_;
  Text scope_, version_, library_, library_version_;
  const bool any_error_;
  std::uint8_t kind_ = 0, named_kind_ = 0, status_ = 0;
  bool has_failed_ = false;
};

}  // namespace tracekit
