// How the readers of all formats take objects apart: members by name, each at most once, and records that are added
// whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "json.h"

namespace tracekit {

// The members of an object, each at most once.
struct Member {
  const char* name;
  std::uint32_t length;
};

template <std::size_t N> constexpr Member member(const char (&name)[N]) { return {name, N - 1}; }

// Numbers that may each come once; the same again is odd.
class Once {
 public:
  void operator()(unsigned number) {
    if (seen_ >> number & 1) odd();
    seen_ |= 1u << number;
  }

  // Whether all numbers of these bits came.
  bool all(unsigned bits) const { return (seen_ & bits) == bits; }

 private:
  unsigned seen_ = 0;
};

// The members of an object by their numbers in a table, of which it may have the first N, each at most once.
template <std::size_t N, std::size_t ALL = N> class Plain {
 public:
  static constexpr std::size_t COUNT = N;

  explicit Plain(const Member (&names)[ALL]) : names_(names) {}

  // The number of a member, -1 for an unknown one; twice the same is odd.
  int operator()(const Text& key) { return taken(find(key.at, key.length)); }

  // The same for a member whose number is known.
  int again(int number, bool) { return taken(number); }

  bool all(unsigned bits) const { return once_.all(bits); }

  // Whether the name of a member is that of the table.
  bool is_own(int number, const Text& name) const {
    const Member& own = names_[static_cast<std::size_t>(number)];
    return own.length == name.length && equal(reinterpret_cast<const Byte*>(own.name), name.at, name.length);
  }

 protected:
  int taken(int found) {
    if (found < 0) return -1;
    once_(static_cast<unsigned>(found));
    next_ = found + 1;
    return found;
  }

  // Writers have an order, so the search begins behind the member before.
  int find(const Byte* at, std::uint32_t length) const {
    std::size_t n = static_cast<std::size_t>(next_);
    for (std::size_t i = 0; i < N; i++, n++) {
      if (n >= N) n = 0;
      if (names_[n].length == length && equal(reinterpret_cast<const Byte*>(names_[n].name), at, length))
        return static_cast<int>(n);
    }
    return -1;
  }

 private:
  const Member (&names_)[ALL];
  Once once_;
  int next_ = 0;
};

// Those of OTLP, which have two spellings.
template <std::size_t N, std::size_t ALL = N> class Members : public Plain<N, ALL> {
 public:
  using Plain<N, ALL>::Plain;

  // Whether a name was of the other spelling of the specification (trace_id).
  bool snake = false;

  int operator()(const Text& key) {
    const int found = this->find(key.at, key.length);
    return this->taken(found < 0 ? find_snake(key) : found);
  }

  // The same for a member whose number and spelling are known.
  int again(int number, bool is_own) {
    snake |= !is_own;
    return this->taken(number);
  }

 private:
  // As ``_camel`` in otlp/tolerant.py; names in capitals or beyond ASCII are left to it.
  int find_snake(const Text& key) {
    constexpr std::uint32_t LONGEST = 64;
    if (!key.length) return -1;
    if (key.at[0] >= 'A' && key.at[0] <= 'Z') odd();
    Byte camel[LONGEST];
    std::uint32_t length = 0;
    bool upper = false;
    for (std::uint32_t i = 0; i < key.length; i++) {
      const Byte c = key.at[i];
      if (c >= 0x80) odd();
      if (c == '_') {
        if (!i) return -1;
        if (upper) odd();  // two of them
        snake = upper = true;
        continue;
      }
      if (length == LONGEST) odd();
      camel[length++] = upper && c >= 'a' && c <= 'z' ? static_cast<Byte>(c - 0x20) : c;
      upper = false;
    }
    return length < key.length ? this->find(camel, length) : -1;
  }
};

// Adds a record with all its rows, or nothing: returns whether it was read.
template <class Read, class... Rows> bool whole(Read read, std::vector<Rows>&... rows) {
  const std::size_t sizes[] = {rows.size()...};
  try {
    read();
    return true;
  } catch (const Odd&) {
    const std::size_t* size = sizes;
    (rows.resize(*size++), ...);
    return false;
  }
}

template <class Take> void object(Reader& r, Take take) {
  r.want('{');
  if (r.is('}')) return;
  do take(r.key());
  while (r.is(','));
  r.want('}');
}

template <class Take> void each(Reader& r, Take take) {
  r.want('[');
  if (r.is(']')) return;
  do take();
  while (r.is(','));
  r.want(']');
}

inline bool same(const Text& a, const Text& b) {
  return a.length == b.length && equal(a.at, b.at, a.length);
}

// A text as it is written, or none for null.
inline Text optional_text(Reader& r) { return r.null() ? Text() : r.text(); }

constexpr std::uint64_t EACH = 0x0101010101010101u;  // times a byte: that byte eight times

// Eight bytes as a number, the first lowest.
inline std::uint64_t from_lowest(const Byte* p) {
  std::uint64_t value = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  std::memcpy(&value, p, 8);
#else
  for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
#endif
  return value;
}

// The number of 8 decimal digits, of which pairs and then fours are joined at once; ``wrong`` is not 0 for anything else.
inline std::uint64_t eight_digits(const Byte* p, std::uint64_t& wrong) {
  std::uint64_t v = from_lowest(p);
  wrong |= ((v & EACH * 0xF0) | ((v + EACH * 6) & EACH * 0xF0) >> 4) ^ EACH * 0x33;
  v = (v & EACH * 0x0F) * (10 << 8 | 1) >> 8 & 0x00FF00FF00FF00FFu;
  v = v * (100 << 16 | 1) >> 16 & 0x0000FFFF0000FFFFu;
  return v * (std::uint64_t{10'000} << 32 | 1) >> 32;
}

// The number of 8 hex digits likewise.
inline std::uint64_t eight_hex_digits(const Byte* p, std::uint64_t& wrong) {
  const std::uint64_t v = from_lowest(p);
  const std::uint64_t letter = v >> 6 & EACH, low = v & EACH * 0x0F;  // letters: 0x41 to 0x46, 0x61 to 0x66
  const std::uint64_t high = (v | letter * 0x20) & EACH * 0xF0;
  const std::uint64_t above = (low + EACH * 6 + letter * 3) & EACH * 0x10;  // 9, or F
  const std::uint64_t below = letter * 0x10 & ~(low + EACH * 0x0F);         // A
  wrong |= (high ^ (EACH + letter) * 0x30) | above | below;
  std::uint64_t digits = low + letter * 9;
  digits = (digits << 4 | digits >> 8) & 0x00FF00FF00FF00FFu;
  digits = (digits << 8 | digits >> 16) & 0x0000FFFF0000FFFFu;
  return (digits << 16 | digits >> 32) & 0xFFFFFFFFu;
}

// The number of 16 hex digits likewise.
inline std::uint64_t hex(const Byte* p, std::uint64_t& wrong) {
  const std::uint64_t high = eight_hex_digits(p, wrong);
  return high << 32 | eight_hex_digits(p + 8, wrong);
}

// The number of 16 hex digits; anything else is odd.
inline std::uint64_t hex(const Byte* p) {
  std::uint64_t wrong = 0;
  const std::uint64_t value = hex(p, wrong);
  if (wrong) odd();
  return value;
}

}  // namespace tracekit
