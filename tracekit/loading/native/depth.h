// Follows the nesting of JSON text that arrives in pieces, as in records/depth.py.
#pragma once

#include <algorithm>
#include <cstdint>

#include "json.h"

namespace tracekit {

// Passes over what is outside strings up to a bracket, a quote or a backslash.
inline const Byte* to_bone(const Byte* p, const Byte* end) {
#if defined(TRACEKIT_SSE2) && defined(__GNUC__)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), lower = _mm_set1_epi8(0x20);
  const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
  for (; end - p >= 16; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), w = _mm_or_si128(v, lower);
    const __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                      _mm_or_si128(_mm_cmpeq_epi8(w, open), _mm_cmpeq_epi8(w, close)));
    const unsigned found = static_cast<unsigned>(_mm_movemask_epi8(stop));
    if (found) return p + __builtin_ctz(found);
  }
#endif
  while (p < end && *p != '"' && *p != '\\' && (*p | 0x20) != '{' && (*p | 0x20) != '}') p++;
  return p;
}

struct Depth {
  std::int64_t depth = 0, lowest = 0, highest = 0;
  bool in_string = false, escaped = false;

  void feed(const Byte* p, const Byte* end) {
    lowest = highest = depth;
    if (escaped && p < end) {
      if (*p == '"' || *p == '\\') p++;
      escaped = false;
    }
    unsigned high = 0;
    while (p < end) {
      p = in_string ? plain(p, end, high) : to_bone(p, end);
      if (p >= end) return;
      const Byte c = *p++;
      if (c == '\\') {
        escaped = p == end;
        if (p < end && (*p == '"' || *p == '\\')) p++;
      } else if (c == '"') {
        in_string = !in_string;
      } else if (in_string) {
        continue;
      } else if (c == '{' || c == '[') {
        highest = std::max(highest, ++depth);
      } else if (c == '}' || c == ']') {
        lowest = std::min(lowest, --depth);
      }
    }
  }
};

}  // namespace tracekit
