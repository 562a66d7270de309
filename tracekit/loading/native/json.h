// Reads JSON text token by token.  Whatever is not exactly as JSON has it, or would be reported, throws Odd: the
// record is then read by the tolerant reader in Python, which alone decides what is wrong with it.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#if (defined(__SSE2__) || defined(_M_X64)) && !defined(TRACEKIT_PORTABLE)
#include <emmintrin.h>
#define TRACEKIT_SSE2
#endif

namespace tracekit {

using Byte = std::uint8_t;

struct Odd {};

[[noreturn]] inline void odd() { throw Odd(); }

constexpr int MAX_DEPTH = 200;        // of nesting, as in records/depth.py
constexpr std::size_t MAX_NUMBER = 300;  // characters: a longer number may not fit a double

// Whether two short strings of this length are the same, without a call.
inline bool equal(const Byte* a, const Byte* b, std::size_t size) {
  std::uint64_t x, y;
  if (size >= 8) {
    for (const Byte* const last = a + size - 8; a < last; a += 8, b += 8, size -= 8) {
      std::memcpy(&x, a, 8);
      std::memcpy(&y, b, 8);
      if (x != y) return false;
    }
    std::memcpy(&x, a + size - 8, 8);
    std::memcpy(&y, b + size - 8, 8);
    return x == y;
  }
  if (size >= 4) {
    std::uint32_t u, v;
    std::memcpy(&u, a, 4);
    std::memcpy(&v, b, 4);
    if (u != v) return false;
    std::memcpy(&u, a + size - 4, 4);
    std::memcpy(&v, b + size - 4, 4);
    return u == v;
  }
  return !size || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

// A part of the input: of a string without its quotes.
struct Text {
  const Byte* at = nullptr;
  std::uint32_t length = 0;
  bool escaped = false;

  bool is(const char* word, std::uint32_t size) const { return length == size && !std::memcmp(at, word, size); }
  template <std::size_t N> bool is(const char (&word)[N]) const { return is(word, N - 1); }
};

inline bool is_digit(Byte c) { return static_cast<unsigned>(c - '0') < 10; }

inline int hex_digit(Byte c) {
  if (is_digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The length of a UTF-8 sequence of more than one byte that begins here, 0 if it is invalid.
inline int sequence(const Byte* p, const Byte* end) {
  const Byte first = *p;
  const int size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || end - p < size) return 0;
  for (int i = 1; i < size; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  if (first == 0xE0 && p[1] < 0xA0) return 0;  // overlong
  if (first == 0xED && p[1] > 0x9F) return 0;  // a surrogate
  if (first == 0xF0 && p[1] < 0x90) return 0;  // overlong
  if (first == 0xF4 && p[1] > 0x8F) return 0;  // beyond U+10FFFF
  return size;
}

inline bool is_utf8(const Byte* p, const Byte* end) {
  while (p < end) {
    std::uint64_t eight;
    if (end - p >= 8 && (std::memcpy(&eight, p, 8), !(eight & 0x8080808080808080u))) {
      p += 8;
    } else if (*p < 0x80) {
      p++;
    } else {
      const int size = sequence(p, end);
      if (!size) return false;
      p += size;
    }
  }
  return true;
}

inline bool is_ascii(const Byte* p, std::size_t size) {
  Byte high = 0;
  for (std::size_t i = 0; i < size; i++) high |= p[i];
  return high < 0x80;
}

// The UTF-16 code unit of four hex digits.
inline unsigned code_unit(const Byte* p, const Byte* end) {
  if (end - p < 4) odd();
  unsigned unit = 0;
  for (int i = 0; i < 4; i++) {
    const int digit = hex_digit(p[i]);
    if (digit < 0) odd();
    unit = unit << 4 | static_cast<unsigned>(digit);
  }
  return unit;
}

// Reads one escape, behind its backslash; NUL and half a surrogate pair are odd.
inline std::uint32_t escape(const Byte*& p, const Byte* end) {
  if (p >= end) odd();
  switch (*p++) {
    case '"': return '"';
    case '\\': return '\\';
    case '/': return '/';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: odd();
  }
  const unsigned unit = code_unit(p, end);
  p += 4;
  if (!unit || (unit >= 0xDC00 && unit <= 0xDFFF)) odd();
  if (unit < 0xD800 || unit > 0xDBFF) return unit;
  if (end - p < 6 || p[0] != '\\' || p[1] != 'u') odd();
  const unsigned low = code_unit(p + 2, end);
  if (low < 0xDC00 || low > 0xDFFF) odd();
  p += 6;
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

inline void put_utf8(std::vector<Byte>& out, std::uint32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<Byte>(c));
    return;
  }
  if (c < 0x800) {
    out.push_back(static_cast<Byte>(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      out.push_back(static_cast<Byte>(0xE0 | c >> 12));
    } else {
      out.push_back(static_cast<Byte>(0xF0 | c >> 18));
      out.push_back(static_cast<Byte>(0x80 | (c >> 12 & 0x3F)));
    }
    out.push_back(static_cast<Byte>(0x80 | (c >> 6 & 0x3F)));
  }
  out.push_back(static_cast<Byte>(0x80 | (c & 0x3F)));
}

// Appends the characters that a string means.
inline void put_text(std::vector<Byte>& out, const Text& text) {
  if (!text.escaped) {
    out.insert(out.end(), text.at, text.at + text.length);
    return;
  }
  for (const Byte *p = text.at, *end = p + text.length; p < end;) {
    if (*p == '\\') {
      put_utf8(out, escape(++p, end));
    } else {
      out.push_back(*p++);
    }
  }
}

// Passes over some text of a string: up to a quote, a backslash or a control character, or to the end of the input.
// ``high`` is not 0 afterwards if a byte beyond ASCII may have been among it.
inline const Byte* plain(const Byte* p, const Byte* end, unsigned& high) {
#ifdef TRACEKIT_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
  for (; end - p >= 16; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                      _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
    high |= static_cast<unsigned>(_mm_movemask_epi8(v));
    unsigned found = static_cast<unsigned>(_mm_movemask_epi8(stop));
    if (!found) continue;
    while (!(found & 1)) {
#if defined(__GNUC__)
      p += __builtin_ctz(found);
      return p;
#else
      found >>= 1;
      p++;
#endif
    }
    return p;
  }
#else
  constexpr std::uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  for (; end - p >= 8; p += 8) {
    std::uint64_t v;
    std::memcpy(&v, p, 8);
    const std::uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    if (v & tops) high = 1;
    // each term has a top bit set at least where its byte matches: a false match costs only the loop below
    if (((quote - ones) | (slash - ones) | (v - ones * 0x20)) & tops) break;
  }
#endif
  while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) high |= *p++ >> 7;
  return p;
}

class Reader {
 public:
  // ``lines``: a newline ends the record, so it is not white space.
  Reader(const Byte* from, const Byte* to, bool lines) : p(from), end(to), lines_(lines) {}

  const Byte* p;
  const Byte* const end;
  unsigned high = 0;
  int base = 0;  // levels of nesting around what the depths of its callers count from

  void blank() {
    while (p < end && *p <= ' ') {
      if (*p != ' ' && *p != '\t' && *p != '\r' && (*p != '\n' || lines_)) return;
      if (*p++ == '\n') indent();
    }
  }

  Byte next() {
    blank();
    if (p >= end) odd();
    return *p;
  }

  bool is(Byte c) {
    blank();
    if (p >= end || *p != c) return false;
    p++;
    return true;
  }

  void want(Byte c) {
    if (!is(c)) odd();
  }

  Text text() {
    want('"');
    const Byte* const from = p;
    bool escaped = false;
    for (p = plain(p, end, high); p < end && *p == '\\'; p = plain(p, end, high)) {
      if (end - p < 2) odd();
      p += 2;
      escaped = true;
    }
    if (p >= end || *p != '"') odd();
    const Text found = slice(from, escaped);
    p++;
    if (escaped) check(found);
    return found;
  }

  // The name of a member; one with an escape is odd.
  Text key() {
    const Text found = text();
    if (found.escaped) odd();
    want(':');
    return found;
  }

  bool word(const char* letters, std::size_t size) {
    blank();
    if (static_cast<std::size_t>(end - p) < size || std::memcmp(p, letters, size)) return false;
    p += size;
    return true;
  }

  bool null() { return word("null", 4); }

  Text number() {
    blank();
    const Byte* const from = p;
    if (p < end && *p == '-') p++;
    if (p < end && *p == '0') {
      p++;
    } else {
      digits();
    }
    if (p < end && *p == '.') {
      p++;
      digits();
    }
    if (p < end && (*p | 0x20) == 'e') {
      p++;
      if (p < end && (*p == '+' || *p == '-')) p++;
      digits();
    }
    const Text found = slice(from, false);
    if (found.length > MAX_NUMBER) odd();
    return found;
  }

  // Passes over a value with this many containers around it.
  void skip(int depth) {
    switch (next()) {
      case '"':
        text();
        return;
      case '{':
        p++;
        inside(depth);
        if (is('}')) return;
        do {
          text();
          want(':');
          skip(depth + 1);
        } while (is(','));
        want('}');
        return;
      case '[':
        p++;
        inside(depth);
        if (is(']')) return;
        do skip(depth + 1);
        while (is(','));
        want(']');
        return;
      case 't':
        if (!word("true", 4)) odd();
        return;
      case 'f':
        if (!word("false", 5)) odd();
        return;
      case 'n':
        if (!null()) odd();
        return;
      default:
        number();
    }
  }

  // A value as it is written.
  Text raw(int depth) {
    blank();
    const Byte* const from = p;
    skip(depth);
    return slice(from, false);
  }

  Text slice(const Byte* from, bool escaped) const {
    const auto length = p - from;
    if (length > 0x7FFFFFFF) odd();
    return {from, static_cast<std::uint32_t>(length), escaped};
  }

 private:
  void inside(int depth) const {
    if (base + depth >= MAX_DEPTH) odd();
  }

  void digits() {
    if (p >= end || !is_digit(*p)) odd();
    while (p < end && is_digit(*p)) p++;
  }

  // Passes over the spaces of an indented line; may leave some for ``blank``.
  void indent() {
#if defined(TRACEKIT_SSE2) && defined(__GNUC__)
    const __m128i space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      const unsigned other = ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(v, space))) & 0xFFFFu;
      if (!other) continue;
      p += __builtin_ctz(other);
      return;
    }
#else
    constexpr std::uint64_t SPACES = 0x2020202020202020u;
    for (std::uint64_t next; end - p >= 8; p += 8) {
      std::memcpy(&next, p, 8);
      if (next != SPACES) return;
    }
#endif
  }

  static void check(const Text& text) {
    const Byte *q = text.at, *const stop = q + text.length;
    while ((q = static_cast<const Byte*>(std::memchr(q, '\\', static_cast<std::size_t>(stop - q))))) escape(++q, stop);
  }

  const bool lines_;
};

}  // namespace tracekit
